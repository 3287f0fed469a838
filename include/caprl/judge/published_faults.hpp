#pragma once

namespace caprl {

/// Faults of CapRL++'s released code that change what is learned, as switches: all off by default, all on in
/// `published()`, which reproduces it. Its other faults (wrong gold answers after a parse error, a failed request
/// that becomes reward 0, captions that speak to the judge in control tokens) cannot be switched on.
struct PublishedFaults {
  bool questions_by_caption = false;  ///< each caption of a group draws questions and orders of its own
  bool abstaining_is_wrong = false;   ///< a wrong answer earns 0, as abstaining does: guessing pays
  bool first_capital = false;         ///< the first capital from A to I of a written answer decides: "Can not ..." is C
  bool fixed_abstain_letter = false;  ///< the abstain option is always F; the worked examples call it E
  bool old_labels = false;            ///< options of video questions keep the letter they had before the shuffle
  bool repeated_stamps = false;       ///< the timestamp term pays for "[00:00]" three times
  bool score_truncated = false;       ///< captions stopped by the length limit are scored like finished ones
};

/// All of them: as published.
inline PublishedFaults published() { return {true, true, true, true, true, true, true}; }

}  // namespace caprl
