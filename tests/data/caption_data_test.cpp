#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "caprl/data/caption_data.hpp"
#include "caprl/data/media_folder.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

/// A good line; tests spoil one thing of it.
const Json good_line = parse_json(R"({
  "prompt": [{"role": "user", "content": "<image>\nPlease describe this image in detail."}],
  "images": ["a.png"],
  "data_source": "image_caption_rl",
  "reward_model": {"ground_truth": [
    {"question": "What colour is the ball?", "choices": ["A) red", "B) blue", "C) green"], "answer": "B"},
    {"question": "How many cubes?", "choices": ["A. one", "B. two"], "answer": "A"}]}
})",
                                  "good");

struct DataFolder : TemporaryFolder {
  DataFolder() {
    for (const char* name : {"a.png", "b.jpg", "c.mp4"}) file(name, "not empty");
  }

  std::vector<CaptionItem> load(const std::string& content, const CaptionDataSettings& settings = {}) const {
    return load_caption_data(file("d.jsonl", content), settings);
  }
  CaptionItem load(const Json& line, const CaptionDataSettings& settings = {}) const {
    return load(line.dump() + "\n", settings).front();
  }

  /// Checks that the good line with `change` applied is refused with its place and `parts`.
  template <class Change, class... Parts>
  bool refused(const Change& change, const Parts&... parts) const {
    Json line = good_line;
    change(line);
    return fails_with([&] { load(line); }, "d.jsonl:1", parts...);
  }
};

Json& question(Json& line) { return line["reward_model"]["ground_truth"][1]; }

}  // namespace

TEST_CASE("both choice styles are parsed into labels and texts") {
  const DataFolder folder;
  const CaptionItem item = folder.load(good_line);
  CHECK(item.id == "d.jsonl:1");
  CHECK(item.where == (folder / "d.jsonl:1").string());
  CHECK(item.prompt == "Please describe this image in detail.");
  CHECK(item.system.empty());
  CHECK(item.source == "image_caption_rl");
  CHECK(item.caption.empty());
  CHECK(item.extra.empty());
  REQUIRE(item.media.size() == 1);
  CHECK(item.media[0].kind == MediaKind::image);
  CHECK(item.media[0].path == folder / "a.png");
  REQUIRE(item.questions.size() == 2);
  CHECK(item.questions[0].text == "What colour is the ball?");
  CHECK(item.questions[0].options == std::vector<std::string>{"red", "blue", "green"});
  CHECK(item.questions[0].gold == 1);
  CHECK(item.questions[1].options == std::vector<std::string>{"one", "two"});
  CHECK(item.questions[1].gold == 0);
}

TEST_CASE("labelled objects, parts lists, media objects, ids, captions and further fields") {
  const DataFolder folder;
  const CaptionItem item = folder.load(parse_json(R"({
    "id": 17,
    "prompt": [{"role": "system", "content": "You caption."},
               {"role": "user", "content": [{"type": "video"}, {"type": "image"},
                                            {"type": "text", "text": "Describe "}, {"type": "text", "text": "both."}]}],
    "videos": [{"video": "c.mp4"}], "images": [{"image": "./b.jpg"}],
    "caption": " A ball. ", "scene": {"objects": [1, 2]}, "split": "train",
    "reward_model": {"style": "rule", "ground_truth": [
      {"question": "Q?", "choices": {"A": "x", "B": "y"}, "answer": "B"},
      {"question": "Q?", "choices": [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}], "answer": "A"}]}
  })",
                                                  "x"),
                                       {.keep_extra = true});
  CHECK(item.id == "17");
  CHECK(item.system == "You caption.");
  CHECK(item.prompt == "Describe both.");
  REQUIRE(item.media.size() == 2);
  CHECK(item.media[0].kind == MediaKind::video);
  CHECK(item.media[0].path.filename() == "c.mp4");
  CHECK(item.media[1].path.filename() == "b.jpg");
  CHECK(item.caption == "A ball.");
  CHECK(item.questions[0].gold == 1);
  CHECK(item.questions[1].options == std::vector<std::string>{"x", "y"});
  CHECK(item.extra == R"({"scene":{"objects":[1,2]},"split":"train"})");
}

TEST_CASE("media marks may stand before or after the text, and absolute paths and file:// are taken") {
  const DataFolder folder;
  Json line = good_line;
  line["prompt"][0]["content"] = "<image> Compare. <video> <image>";
  line["images"] = {(folder / "a.png").string(), "file://" + (folder / "b.jpg").string()};
  line["videos"] = {"c.mp4"};
  const CaptionItem item = folder.load(line);
  CHECK(item.prompt == "Compare.");
  REQUIRE(item.media.size() == 3);
  CHECK(item.media[0].path.filename() == "a.png");
  CHECK(item.media[1].kind == MediaKind::video);
  CHECK(item.media[2].path.filename() == "b.jpg");
}

TEST_CASE("faults of the file") {
  const DataFolder folder;
  const std::string line = good_line.dump();
  CHECK(fails_with([&] { folder.load(line + "\n\n" + line); }, "blank line", "d.jsonl:2"));
  CHECK(fails_with([&] { folder.load(line + "\n" + line.substr(0, 200)); }, "d.jsonl:2:"));
  CHECK(fails_with([&] { folder.load(line + "\n[]\n"); }, "expected an object, got list", "d.jsonl:2"));
  CHECK(fails_with([&] { folder.load(std::string()); }, "got an empty file", "d.jsonl"));
  CHECK(fails_with([&] { load_caption_data(folder / "absent.jsonl"); }, "No such file", "absent.jsonl"));
  Json named = good_line;
  named["id"] = "x";
  CHECK(fails_with([&] { folder.load(named.dump() + "\n" + line + "\n" + named.dump()); }, "\"x\" here and at",
                   "d.jsonl:1", "d.jsonl:3"));
}

TEST_CASE("faults of the prompt") {
  const DataFolder folder;
  const auto content = [](const Json& value) { return [value](Json& line) { line["prompt"][0]["content"] = value; }; };
  CHECK(folder.refused([](Json& line) { line.erase("prompt"); }, "field prompt: expected a value"));
  CHECK(folder.refused([](Json& line) { line["prompt"] = "text"; }, "expected a list of messages, got string"));
  CHECK(folder.refused([](Json& line) { line["prompt"] = Json::array(); }, "got an empty one"));
  CHECK(folder.refused([](Json& line) { line["prompt"][0]["role"] = "assistant"; }, "prompt[0].role", "assistant"));
  CHECK(folder.refused([](Json& line) { line["prompt"].push_back(line["prompt"][0]); }, "prompt[1].role", "got user"));
  CHECK(folder.refused(
      [](Json& line) {
        line["prompt"] = Json::array({{{"role", "system"}, {"content", "Caption."}}});
      },
      "expected a user message"));
  CHECK(folder.refused(content("<image>"), "field prompt[0].content: expected text beside the media"));
  CHECK(folder.refused(content("See <image> here"), "got one within it"));
  for (const Json& shown : {Json("See <image>"), Json::array({{{"type", "video"}}})}) {
    const auto system = [&](Json& line) {
      line["prompt"].insert(line["prompt"].begin(), Json{{"role", "system"}, {"content", shown}});
    };
    CHECK(folder.refused(system, "field prompt[0].content: expected <image> and <video> in the user message alone"));
  }
  CHECK(folder.refused(content(5), "expected a string or a list, got integer"));
  CHECK(folder.refused(content({"x"}), "content[0]: expected an object"));
  CHECK(folder.refused(content(Json::array({{{"type", "audio"}}})), "content[0].type", "audio"));
  CHECK(folder.refused(content(Json::array({{{"type", "image"}, {"image", "a.png"}}})), "content[0].image",
                       "unknown field"));
}

TEST_CASE("faults of the media") {
  const DataFolder folder;
  const auto images = [](const Json& value) { return [value](Json& line) { line["images"] = value; }; };
  CHECK(folder.refused(images({"absent.png"}), "field images[0]: No such file", "absent.png"));
  CHECK(folder.refused(images({"."}), "field images[0]: expected a regular file"));
  CHECK(folder.refused(images({""}), "field images[0]: expected a path, got an empty string"));
  CHECK(folder.refused(images({5}), "field images[0]: expected a path, got integer"));
  CHECK(folder.refused(images("a.png"), "field images: expected a list"));
  CHECK(folder.refused(images({"a.png", "b.jpg"}), "field images: expected as many files as <image> marks", "2 and 1"));
  CHECK(folder.refused(images(Json::array()), "0 and 1"));
  CHECK(folder.refused(images(Json::array({{{"path", "a.png"}}})), "field images[0].path: unknown field"));
  CHECK(folder.refused([](Json& line) { line["videos"] = {"c.mp4"}; }, "field videos", "<video> marks", "1 and 0"));
  CHECK(folder.refused(
      [](Json& line) {
        line["prompt"][0]["content"] = "Describe.";
        line.erase("images");
      },
      "field prompt: expected an <image> or <video> mark"));
}

TEST_CASE("faults of the questions") {
  const DataFolder folder;
  const auto choices = [](const Json& value) { return [value](Json& line) { question(line)["choices"] = value; }; };
  const char* const place = "field reward_model.ground_truth[1].choices";
  CHECK(folder.refused(choices({"A) one", "B) one"}), place, "options A and B are the same: one"));
  CHECK(folder.refused(choices({"A) one", "C) two"}), place, "expected labels A, B, C, ... in order, got C where B"));
  CHECK(folder.refused(choices({"B) one", "C) two"}), place, "got B where A is next"));
  CHECK(folder.refused(choices({"A) one", "A) two"}), place, "got A where B is next"));
  CHECK(folder.refused(choices({"one", "two"}), "choices[0]: expected \"A) text\" or \"A. text\", got \"one\""));
  CHECK(folder.refused(choices({"A) one", "B.two"}), "choices[1]", "B.two"));
  CHECK(folder.refused(choices({"A) one", "b) two"}), "choices[1]"));
  CHECK(folder.refused(choices({"A) one", "B) "}), place, "option B is empty"));
  CHECK(folder.refused(choices({"A) one", 5}), "choices[1]: expected \"A) text\", got integer"));
  CHECK(folder.refused(choices(Json::array()), place, "expected 2 to 25 options, got 0"));
  CHECK(folder.refused(choices({"A) one"}), place, "got 1"));
  CHECK(folder.refused(choices("A) one"), place, "expected a list or an object"));
  CHECK(folder.refused(choices({"A) A. one", "B) C. two"}), place, "two labels each"));
  CHECK(folder.refused(choices({{"A", "x"}, {"C", "y"}}), place, "got C where B"));
  CHECK(folder.refused([](Json& line) { question(line)["answer"] = "C"; }, "ground_truth[1].answer",
                       "expected one of the labels A to B, got \"C\""));
  CHECK(folder.refused([](Json& line) { question(line)["answer"] = 0; }, "answer: expected a string"));
  CHECK(folder.refused([](Json& line) { question(line).erase("answer"); }, "ground_truth[1].answer"));
  CHECK(folder.refused([](Json& line) { question(line)["question"] = "  "; }, "ground_truth[1].question"));
  CHECK(folder.refused([](Json& line) { line["reward_model"]["ground_truth"] = Json::array(); }, "got an empty list"));
  CHECK(folder.refused([](Json& line) { line["reward_model"]["ground_truth"] = "B"; }, "expected a list, got string"));
  CHECK(folder.refused([](Json& line) { line["reward_model"] = {{"style", "rule"}}; }, "reward_model.ground_truth"));
  CHECK(folder.refused([](Json& line) { line.erase("reward_model"); }, "field reward_model: expected questions"));
  CHECK(folder.refused([](Json& line) { line["caption"] = " "; }, "field caption: expected text"));
  CHECK(folder.refused([](Json& line) { line["id"] = true; }, "field id: expected an integer"));
}

TEST_CASE("an option may begin with an initial") {
  const DataFolder folder;
  Json line = good_line;
  question(line)["choices"] = {"A) A. Lincoln", "B) Grant"};
  CHECK(folder.load(line).questions[1].options[0] == "A. Lincoln");
}

TEST_CASE("what must be there is a setting") {
  const DataFolder folder;
  Json line = good_line;
  line.erase("reward_model");
  CHECK(folder.load(line, {.require_questions = false}).questions.empty());
  CHECK(fails_with([&] { folder.load(line, {.require_questions = false, .require_captions = true}); },
                   "field caption: expected text, got none", "d.jsonl:1"));
  line["caption"] = "A ball.";
  CHECK(folder.load(line, {.require_questions = false, .require_captions = true}).caption == "A ball.");
}

TEST_CASE("folders of media become items") {
  const DataFolder folder;
  folder.file("notes.txt", "x");
  folder.file(".hidden.png", "x");
  folder.file("d.PNG", "x");
  const auto items = load_media_folder(folder.path(), {.image = "an image", .video = "a video"});
  REQUIRE(items.size() == 4);
  CHECK(items[0].id == "a.png");
  CHECK(items[2].id == "c.mp4");
  CHECK(items[2].prompt == "a video");
  CHECK(items[2].media[0].kind == MediaKind::video);
  CHECK(items[3].id == "d.PNG");
  CHECK(items[3].prompt == "an image");
  CHECK(items[3].questions.empty());
  CHECK(fails_with([&] { item_of_file(folder / "notes.txt", {}); }, "expected an image", "notes.txt"));
  CHECK(fails_with([&] { item_of_file(folder / "absent.png", {}); }, "no such file", "absent.png"));
  CHECK(fails_with([&] { load_media_folder(folder / "absent", {}); }, "no such folder"));
  const TemporaryFolder empty;
  CHECK(fails_with([&] { load_media_folder(empty.path(), {}); }, "expected images or videos, got none"));
}

TEST_CASE("what the file system refuses is an Error that names the media") {
  const DataFolder folder;
  std::filesystem::create_symlink("loop.png", folder / "loop.png");
  CHECK(folder.refused([](Json& line) { line["images"] = {"loop.png"}; }, "field images[0]: Too many levels"));
  CHECK(fails_with([&] { item_of_file(folder / "loop.png", {}); }, "[media file] Too many levels", "loop.png"));
  CHECK(fails_with([&] { load_media_folder(folder.path(), {}); }, "[media folder] Too many levels", "loop.png"));
}
