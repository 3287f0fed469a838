#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "caprl/text/load_tokenizer.hpp"
#include "caprl/text/streaming_decoder.hpp"
#include "caprl/text/utf8.hpp"

using caprl::AddedTokens;
using caprl::append_utf8;
using caprl::Token;
using caprl::Tokenizer;

namespace {

using Texts = std::vector<std::string>;
using Scalars = std::vector<char32_t>;

/// The output function of SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195).
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ull;
  value = (value ^ value >> 27) * 0x94D049BB133111EBull;
  return value ^ value >> 31;
}

class Random {
 public:
  explicit Random(std::uint64_t stream) : state_(mix(stream)) {}

  std::size_t below(std::size_t count) {
    state_ += 0x9E3779B97F4A7C15ull;
    return mix(state_) % count;
  }

  template <class Thing>
  const Thing& of(const std::vector<Thing>& things) {
    return things[below(things.size())];
  }

 private:
  std::uint64_t state_;
};

struct Stretch {
  explicit Stretch(const nlohmann::json& pair) : first(pair[0]), last(pair[1]) {}
  char32_t first;
  char32_t last;
};

/// Makes string i, as tests/reference/text_generated_strings.py does; see there for what the kinds are.
class Strings {
 public:
  Strings(const nlohmann::json& material, Texts lines)
      : lines_(std::move(lines)),
        words_(material["words"].get<Texts>()),
        contractions_(material["contractions"].get<Texts>()),
        code_(material["code"].get<Texts>()),
        emoji_(material["emoji"].get<Texts>()),
        spaces_(material["spaces"].get<Texts>()),
        odd_(material["odd"].get<Texts>()),
        added_(material["added"].get<Texts>()),
        digit_zeros_(material["digit_zeros"].get<Scalars>()),
        bases_(material["bases"].get<Scalars>()),
        marks_(material["marks"].get<Scalars>()),
        stretches_(material["stretches"].begin(), material["stretches"].end()),
        left_out_(0x110000) {
    for (const auto& pair : material["left_out"]) {
      for (char32_t c = pair[0]; c <= pair[1]; ++c) left_out_[c] = true;
    }
  }

  std::string operator()(std::uint64_t number) const {
    Random random(number);
    std::string text;
    for (std::size_t left = 1 + random.below(6); left > 0; --left) add_piece(random, text);
    return text;
  }

 private:
  void add_piece(Random& random, std::string& text) const {
    const auto many = [&](std::size_t most, const auto& part) {
      for (std::size_t left = 1 + random.below(most); left > 0; --left) part();
    };
    const auto many_of = [&](std::size_t most, const Texts& parts) { many(most, [&] { text += random.of(parts); }); };
    switch (random.below(18)) {
      case 0: {
        const std::size_t plane = random.below(17);
        return many(6, [&] { add_scalar(random, static_cast<char32_t>(plane << 16), 0x10000, text); });
      }
      case 1:
        return many(8, [&] { add_scalar(random, random.of(stretches_), text); });
      case 2: {
        const Stretch& stretch = random.of(stretches_);
        return many(8, [&] { add_scalar(random, stretch, text); });
      }
      case 3:
        append_utf8(text, random.of(bases_));
        return many(5, [&] { append_utf8(text, random.of(marks_)); });
      case 4:
        return many_of(6, spaces_);
      case 5: {
        const std::string& space = random.of(spaces_);
        return many(12, [&] { text += space; });
      }
      case 6: {
        const char32_t zero = random.of(digit_zeros_);
        return many(14, [&] { append_utf8(text, zero + static_cast<char32_t>(random.below(10))); });
      }
      case 7:
        return many(3, [&] {
          text += random.of(words_);
          text += random.of(contractions_);
        });
      case 8:
        return many(6, [&] { text += random.of(words_) + " "; });
      case 9:
        return many_of(3, code_);
      case 10:
        text += random.of(added_);
        return;
      case 11:
        return many_of(4, added_);
      case 12:
        return add_cut_token(random, text);
      case 13:
        return add_changed_token(random, text);
      case 14:
        return add_long_word(random, text);
      case 15:
        return many_of(6, emoji_);
      case 16:
        return many_of(4, odd_);
      default:
        text += random.of(lines_);
    }
  }

  void add_scalar(Random& random, char32_t first, std::size_t count, std::string& text) const {
    while (true) {
      const char32_t c = first + static_cast<char32_t>(random.below(count));
      if ((c >= 0xD800 && c <= 0xDFFF) || left_out_[c]) continue;
      return append_utf8(text, c);
    }
  }

  void add_scalar(Random& random, const Stretch& stretch, std::string& text) const {
    add_scalar(random, stretch.first, stretch.last - stretch.first + 1, text);
  }

  void add_cut_token(Random& random, std::string& text) const {
    const std::string& token = random.of(added_);
    const std::size_t cut = random.below(token.size());
    text += random.below(2) == 0 ? token.substr(0, cut) : token.substr(cut);
  }

  void add_changed_token(Random& random, std::string& text) const {
    const std::string& token = random.of(added_);
    const std::size_t place = random.below(token.size());
    text += token.substr(0, place);
    text += random.of(spaces_);
    text += token.substr(place + random.below(2));
  }

  void add_long_word(Random& random, std::string& text) const {
    const std::size_t most = random.below(8) == 0 ? 400 : 40;
    const std::string* part = random.below(2) == 0 ? &random.of(words_) : nullptr;
    for (std::size_t left = 1 + random.below(most); left > 0; --left) {
      text += part != nullptr ? *part : std::string(1, static_cast<char>('a' + random.below(26)));
    }
  }

  Texts lines_, words_, contractions_, code_, emoji_, spaces_, odd_, added_;
  Scalars digit_zeros_, bases_, marks_;
  std::vector<Stretch> stretches_;
  std::vector<bool> left_out_;
};

/// Ids in no order, of which many are parts of characters and a quarter added tokens.
std::vector<Token> ids_to_decode(std::uint64_t number, std::size_t vocabulary, std::size_t added) {
  Random random(number);
  std::vector<Token> ids(1 + random.below(12));
  for (Token& id : ids) {
    if (random.below(4) == 0) {
      id = static_cast<Token>(vocabulary + random.below(added));
    } else {
      const std::size_t among = random.below(2) == 0 ? 256 : vocabulary;
      id = static_cast<Token>(random.below(among));
    }
  }
  return ids;
}

/// Of lists of ids or bytes.
class Hash {
 public:
  template <class List>
  void add_list(const List& list) {
    add(list.size());
    for (const auto item : list) {
      if constexpr (sizeof item == 1) {
        add(static_cast<unsigned char>(item));
      } else {
        add(static_cast<std::uint64_t>(item));
      }
    }
  }

  std::uint64_t value() const { return value_; }

 private:
  void add(std::uint64_t item) {
    value_ = (value_ ^ (item + 1)) * 0x9E3779B97F4A7C15ull;
    value_ ^= value_ >> 29;
  }

  std::uint64_t value_ = 0;
};

nlohmann::json load(const std::filesystem::path& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

Texts lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  Texts lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string decode_streaming(const Tokenizer& tokenizer, const std::vector<Token>& ids, bool skip_special) {
  caprl::StreamingDecoder stream(tokenizer, skip_special);
  std::string text;
  for (const Token id : ids) text += stream.push(id);
  return text + stream.finish();
}

/// Checks the strings of one block against `hashes`, of their ids and of the texts of ids.
void check_block(const Tokenizer& tokenizer, const Strings& string, std::size_t added, std::uint64_t begin,
                 std::uint64_t end, const nlohmann::json& hashes) {
  const std::size_t vocabulary = static_cast<std::size_t>(tokenizer.vocabulary_size()) - added;
  Hash ids, texts;
  int streamed_otherwise = 0;
  const auto add_text = [&](const std::vector<Token>& tokens, bool skip_special) {
    const std::string text = tokenizer.decode(tokens, skip_special);
    texts.add_list(text);
    streamed_otherwise += decode_streaming(tokenizer, tokens, skip_special) != text;
  };
  for (std::uint64_t i = begin; i < end; ++i) {
    const std::string text = string(i);
    const std::vector<Token> parsed = tokenizer.encode(text, AddedTokens::parse);
    ids.add_list(parsed);
    ids.add_list(tokenizer.encode(text));
    add_text(parsed, false);
    const std::vector<Token> drawn = ids_to_decode(i, vocabulary, added);
    add_text(drawn, false);
    add_text(drawn, true);
  }
  CAPTURE(string(begin));
  CHECK(ids.value() == hashes[0].get<std::uint64_t>());
  CHECK(texts.value() == hashes[1].get<std::uint64_t>());
  CHECK(streamed_otherwise == 0);
}

}  // namespace

TEST_CASE("Generated strings over all planes have the ids and texts of Hugging Face tokenizers") {
  const auto qwen = std::filesystem::path(CAPRL_SHARED_ASSETS) / "qwen3-tokenizer" / "tokenizer.json";
  if (!std::filesystem::exists(qwen)) {
    MESSAGE("SKIPPED: absent: ", qwen.string());
    return;
  }
  const std::filesystem::path data = CAPRL_TEST_DATA "/text";
  const nlohmann::json fixture = load(data / "generated_strings.json");
  const Tokenizer tokenizer = Tokenizer::from_file(qwen);
  const Strings string(fixture["material"], lines_of(data / "collected_lines.txt"));
  const std::size_t added = fixture["material"]["added"].size();
  const std::size_t size = fixture["block"];
  const auto& hashes = fixture["hashes"];
  const std::size_t step = std::getenv("CAPRL_ALL_STRINGS") != nullptr ? 1 : 16;
  for (std::size_t block = 0; block < hashes.size(); block += step) {
    CAPTURE(block);  // text_generated_strings.py --block prints what is expected
    check_block(tokenizer, string, added, block * size, (block + 1) * size, hashes[block]);
  }
}
