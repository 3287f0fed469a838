#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "caprl/io/checkpoint_folder.hpp"
#include "support/error_message.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_folder.hpp"

using namespace caprl;
using namespace caprl::testing;

namespace {

const Json settings = {{"seed", 1}, {"optimizer", {{"learning_rate", 1e-5}, {"betas", {0.9, 0.999}}}}};

void save(const CheckpointFolder& folder, Index step, Index elements = 4) {
  folder.save(step, [&](CheckpointWriter& writer) {
    const auto weights = Tensor<float>::full({elements}, static_cast<float>(step));
    const auto moments = Tensor<std::uint8_t>::full({2, 3}, 7);
    writer.tensors("policy", {named_tensor("weight", weights)});
    writer.tensors("optimizer", {named_tensor("weight.moment", moments), named_tensor("weight.scale", weights)});
    std::filesystem::create_directory(writer.path() / "model");
    write_file_atomically(writer.path() / "model/config.json", "{}");
    writer.commit({{"tokens", 5 * step}, {"best", 0.5}}, settings);
  });
}

}  // namespace

TEST_CASE("a checkpoint gives back what was saved") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "checkpoints");
  CHECK_FALSE(folder.latest());
  CHECK_FALSE(folder.best());
  save(folder, 120);
  const auto checkpoint = folder.latest();
  REQUIRE(checkpoint);
  CHECK(checkpoint->path().filename() == "step-000120");
  CHECK(checkpoint->step() == 120);
  CHECK(checkpoint->state_fields().get<Index>("tokens") == 600);
  CHECK(checkpoint->state_fields().get<double>("best") == 0.5);
  CHECK(checkpoint->tensors("policy").read<float>("weight", {4}).data()[3] == 120);
  CHECK(checkpoint->tensors("optimizer").read<std::uint8_t>("weight.moment", {2, 3}).data()[5] == 7);
  CHECK(content_of(checkpoint->path() / "model/config.json") == "{}");
  CHECK(fails_with([&] { checkpoint->state_fields().get<Index>("absent"); }, "field state.absent", "state.json"));
  CHECK(fails_with([&] { checkpoint->tensors("absent"); }, "No such file", "absent.safetensors"));
}

TEST_CASE("the same content gives the same bytes") {
  const TemporaryFolder temporary;
  const CheckpointFolder first(temporary / "first"), second(temporary / "second");
  save(first, 3);
  save(second, 3);
  for (const char* name : {"state.json", "policy.safetensors", "optimizer.safetensors"}) {
    CHECK(content_of(first.path_of("step", 3) / name) == content_of(second.path_of("step", 3) / name));
  }
}

TEST_CASE("the last few and the best are kept") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "checkpoints", 2);
  save(folder, 10);
  folder.keep_as_best(10);
  for (const Index step : {20, 30, 1000000}) save(folder, step);
  CHECK(folder.latest()->step() == 1000000);
  CHECK(folder.best()->step() == 10);
  CHECK_FALSE(std::filesystem::exists(folder.path_of("step", 10)));
  CHECK_FALSE(std::filesystem::exists(folder.path_of("step", 20)));
  CHECK(std::filesystem::exists(folder.path_of("step", 30)));
  CHECK(folder.best()->tensors("policy").read<float>("weight").data()[0] == 10);
  folder.keep_as_best(30);
  CHECK(folder.best()->step() == 30);
  CHECK_FALSE(std::filesystem::exists(folder.path_of("best", 10)));
  folder.keep_as_best(30);
  CHECK(folder.best()->step() == 30);
  CHECK(fails_with([&] { folder.keep_as_best(20); }, "no such checkpoint", "step-000020"));
  save(folder, 1000000);  // saved again: replaced
  CHECK(folder.latest()->step() == 1000000);
}

TEST_CASE("a half-written or half-copied folder is never taken for a checkpoint") {
  const TemporaryFolder temporary;
  {
    const CheckpointFolder folder(temporary / "c");
    save(folder, 10);
    try {
      folder.save(20, [](CheckpointWriter& writer) {
        writer.tensors("policy", {named_tensor("weight", Tensor<float>::zeros({4}))});
        throw Error("the process failed");
      });
    } catch (const Error&) {
    }
    CHECK(fails_with([&] { folder.save(20, [](CheckpointWriter&) {}); }, "the writer was not committed"));
    CHECK(folder.latest()->step() == 10);
  }
  const auto place = temporary / "c";
  std::filesystem::create_directory(place / "step-000030");  // empty
  std::filesystem::copy(place / "step-000010", place / "step-000040", std::filesystem::copy_options::recursive);
  std::filesystem::resize_file(place / "step-000040/policy.safetensors", 50);  // cut short
  std::filesystem::copy(place / "step-000010", place / "step-000050", std::filesystem::copy_options::recursive);
  std::filesystem::remove(place / "step-000050/model/config.json");
  std::filesystem::copy(place / "step-000010", place / ".step-000060.partial-1-1");  // a killed writer's
  std::filesystem::copy(place / "step-000010", place / "step-70");                   // not our name
  const CheckpointFolder folder(place);
  CHECK(folder.latest()->step() == 10);
  CHECK(std::filesystem::exists(place / ".step-000060.partial-1-1"));  // it may be another process's
  folder.open_for_writing();
  CHECK_FALSE(std::filesystem::exists(place / ".step-000060.partial-1-1"));
  CHECK(folder.latest()->step() == 10);
  CHECK(fails_with([&] { Checkpoint(place / "step-000040"); }, "bytes, got 50", "policy.safetensors"));
  CHECK(fails_with([&] { Checkpoint(place / "step-000050"); }, "got none", "config.json"));
  CHECK(fails_with([&] { Checkpoint(place / "step-000030"); }, "No such file", "step-000030/state.json"));
}

TEST_CASE("a folder whose checkpoints do not open is no new run, and one that is not there is not made") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "c");
  CHECK_FALSE(folder.latest());
  CHECK_FALSE(std::filesystem::exists(folder.path()));
  save(folder, 10);
  std::filesystem::resize_file(folder.path_of("step", 10) / "policy.safetensors", 50);
  CHECK(fails_with([&] { folder.latest(); }, "bytes, got 50", "policy.safetensors"));
}

TEST_CASE("changed settings are errors that name the setting and both values") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "c");
  save(folder, 1);
  const auto checkpoint = folder.latest();
  CHECK_NOTHROW(checkpoint->require_settings(settings));
  Json changed = settings;
  changed["optimizer"]["learning_rate"] = 2e-5;
  CHECK(fails_with([&] { checkpoint->require_settings(changed); }, "setting optimizer.learning_rate was 1e-05",
                   "and is 2e-05 now", "state.json"));
  changed = settings;
  changed["optimizer"]["betas"][1] = 0.95;
  CHECK(fails_with([&] { checkpoint->require_settings(changed); }, "optimizer.betas was [0.9,0.999]"));
  changed = settings;
  changed["new_one"] = true;
  CHECK(fails_with([&] { checkpoint->require_settings(changed); }, "setting new_one was absent", "is true now"));
  changed = settings;
  changed.erase("seed");
  CHECK(fails_with([&] { checkpoint->require_settings(changed); }, "setting seed was 1", "is absent now"));
}

TEST_CASE("a full disk while a checkpoint is saved loses none") {
  const SmallDisk disk(256 * 1024);
  const CheckpointFolder folder(disk.folder() / "c");
  save(folder, 1);
  CHECK(fails_with([&] { save(folder, 2, 1 << 18); }, disk.message(), "policy.safetensors", "what was saved before"));
  REQUIRE(folder.latest());
  CHECK(folder.latest()->step() == 1);
  CHECK(folder.latest()->tensors("policy").read<float>("weight", {4}).data()[0] == 1);
}

TEST_CASE("what the file system refuses is an Error that names the folder") {
  const TemporaryFolder temporary;
  const std::string long_name(300, 'x');
  const CheckpointFolder unnamed(temporary / long_name);
  CHECK(fails_with([&] { unnamed.latest(); }, "[checkpoint folder] File name too long", long_name, "check the path"));
  CHECK(fails_with([&] { unnamed.open_for_writing(); }, "[checkpoint folder] File name too long", long_name));
  const CheckpointFolder file(temporary.file("file", "no folder"));
  CHECK(fails_with([&] { file.latest(); }, "[checkpoint folder] Not a directory", "file", "choose a folder"));
  const CheckpointFolder folder(temporary / "c");
  save(folder, 10);
  std::filesystem::create_symlink("step-000020", folder.path_of("step", 20));  // to itself
  CHECK(fails_with([&] { folder.latest(); }, "[checkpoint folder] Too many levels of symbolic links", "step-000020"));
  std::filesystem::remove(folder.path_of("step", 20));
  std::filesystem::create_symlink("loop", folder.path_of("step", 10) / "loop");
  CHECK(fails_with([&] { folder.keep_as_best(10); }, "[keep checkpoint] Too many levels", "loop"));
  CHECK_FALSE(folder.best());
}
