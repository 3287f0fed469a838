// expect: PerCaption
// expect: (const CaptionItem&, const Caption&)
#include "caprl/judge/per_caption.hpp"

int main() {
  caprl::PerCaption brevity{"brevity", [](const caprl::Caption& caption) { return 1.0 * double(caption.tokens); }};
}
