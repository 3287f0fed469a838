"""Runs our benchmark programs and their peers in turn, and writes tables. See run.sh, which builds both.

Ours are Google Benchmark programs, started afresh for each round; a peer is a process of peers/serve.py that stays and
is told when to run. A comparison alternates: ours, each peer, ours, each peer, ... on the same processors. What is
compared within one of our own programs is interleaved at random by Google Benchmark."""
import argparse
import datetime
import json
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
QWEN = ROOT.parent / "shared/assets/qwen3-tokenizer/tokenizer.json"


class Samples(dict):
    """Name to the seconds of each round."""

    def add(self, name, seconds):
        self.setdefault(name, []).append(seconds)

    def best(self, name):
        return min(self[name])

    def median(self, name):
        return statistics.median(self[name])

    def ratios(self, top, bottom):
        return self.best(top) / self.best(bottom), self.median(top) / self.median(bottom)


class Runner:
    def __init__(self, options):
        self.options = options
        cpus = sorted(os.sched_getaffinity(0))[: options.threads]
        os.sched_setaffinity(0, cpus)
        self.cpus = cpus
        self.environment = dict(os.environ, OMP_NUM_THREADS=str(len(cpus)), OMP_PROC_BIND="true",
                                OMP_PLACES=",".join("{%d}" % cpu for cpu in cpus),
                                CAPRL_BENCHMARK_MODELS=str(options.work / "models"),
                                CAPRL_BENCHMARK_VIDEO=str(options.work / "video.mp4"),
                                CAPRL_BENCHMARK_TEXT=str(options.work / "text.txt"),
                                CAPRL_BENCHMARK_TOKENIZER=str(QWEN))
        self.peer_environment = dict(self.environment, MALLOC_MMAP_THRESHOLD_="4294967296",
                                     MALLOC_TRIM_THRESHOLD_="8589934592", OPENBLAS_CORETYPE="SkylakeX")
        self.raw = {}
        self.machine = {"GFLOPs": [], "triad_GB": []}

    def program(self, name, *arguments, repetitions=1, min_time=None):
        """Runs one of our programs; name to the list of its (seconds, entry)."""
        seconds = self.options.min_time if min_time is None else min_time
        command = [str(self.options.programs / name), "--benchmark_format=json", f"--benchmark_min_time={seconds}",
                   f"--benchmark_repetitions={repetitions}", *arguments]
        if repetitions > 1:
            command.append("--benchmark_enable_random_interleaving=true")
        text = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout
        found = {}
        for entry in json.loads(text)["benchmarks"]:
            if entry["run_type"] != "iteration":
                continue
            unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[entry["time_unit"]]
            name = entry["run_name"].removesuffix("/real_time")
            found.setdefault(name, []).append((entry["real_time"] * unit, entry))
        return found

    def measure_machine(self):
        found = self.program("optimizer_benchmark", "--benchmark_filter=^(peak|triad)/", min_time=0.05)
        self.machine["GFLOPs"].append(found["peak"][0][1]["GFLOPs"])
        self.machine["triad_GB"].append(found["triad"][0][1]["GB"])

    def within(self, name, pattern, min_time=None):
        """Bodies of one program, interleaved."""
        self.measure_machine()
        found = self.program(name, f"--benchmark_filter={pattern}", repetitions=self.options.rounds, min_time=min_time)
        self.raw[f"{name} {pattern}"] = {key: [seconds for seconds, _ in runs] for key, runs in found.items()}
        samples = Samples({key: [seconds for seconds, _ in runs] for key, runs in found.items()})
        return samples, {key: runs[-1][1] for key, runs in found.items()}

    def beside(self, title, ours, peers, rounds=None):
        """`ours`: (program, pattern), whose benchmarks keep their names; `peers`: (service, case, mode) by name."""
        self.measure_machine()
        samples, told, working = Samples(), {}, {}
        for name, (service, case, mode) in peers.items():
            answer = service.ask(f"{case} {mode} prepare")
            told[name] = answer
            if "error" in answer:
                print(f"  {title}: {name} does not work here: {answer['error']}", flush=True)
            else:
                working[name] = (service, case, mode)
        for _ in range(rounds or self.options.rounds):
            for key, runs in self.program(ours[0], f"--benchmark_filter={ours[1]}").items():
                samples.add(key, runs[0][0])
                told[key] = runs[0][1]
            for name, (service, case, mode) in working.items():
                answer = service.ask(f"{case} {mode} {self.options.min_time}")
                if "error" in answer:
                    raise RuntimeError(f"{title}: {name}: {answer['error']}")
                samples.add(name, answer["seconds"])
                told[name] = answer
        for name, (service, case, mode) in working.items():
            service.ask(f"{case} {mode} forget")
        self.raw[title] = dict(samples)
        return samples, told


class Service:
    """A process of peers."""

    def __init__(self, runner, module):
        self.process = subprocess.Popen([sys.executable, str(HERE / "peers/serve.py"), module], text=True,
                                        env=runner.peer_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        cwd=HERE / "peers")
        self.about = json.loads(self.process.stdout.readline() or '{"error": "it did not start"}')

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else {"error": "the peer's process ended"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Tables:
    def __init__(self):
        self.notes, self.json = [], []

    def add(self, goal, measured, ours, peer, ratios, wanted, at_least=True):
        """`ratios`: best and median; the goal is met if both reach `wanted` (None: reported, not wanted)."""
        if wanted is None:
            verdict, asked = "reported", ""
        else:
            worst = min(ratios) if at_least else max(ratios)
            met = worst >= wanted if at_least else worst <= wanted
            verdict = "met" if met else f"{abs(worst / wanted - 1) * 100:.0f} % short"
            asked = f"{'>=' if at_least else '<='} {wanted:g}x"
        self.json.append({"goal": goal, "measured": measured, "ours": ours, "peer": peer, "ratio_best": ratios[0],
                          "ratio_median": ratios[1], "wanted": wanted, "asked": asked, "at_least": at_least,
                          "verdict": verdict, "date": datetime.date.today().isoformat()})
        print(f"  goal {goal}: {measured}: {ratios[0]:.2f}x / {ratios[1]:.2f}x {asked} {verdict}", flush=True)


GOALS = [*range(1, 12), 15, 16]  # 12 to 14 are of GPUs


def folder_of(options):
    return options.work if options.quick else ROOT / "docs/benchmarks"


def earlier_record(options):
    """What is there of the goals that are not measured this time, if it is of this processor."""
    file = folder_of(options) / "cpu.json"
    if set(options.only) >= set(GOALS) or not file.exists():
        return None
    record = json.loads(file.read_text())
    if record["processor"] != processor():
        raise RuntimeError(f"{file} is of another processor, {record['processor']}: measure all goals")
    return record


def keep_other_goals(tables, record):
    """Goals that were not measured this time stay as an earlier record has them, with their dates."""
    measured = {int(row["goal"]) for row in tables.json}

    def goal_of(note):
        found = re.match(r"Goal (\d+)", note)
        return int(found.group(1)) if found else 0  # 0: of the run

    tables.json += [row for row in record["results"] if int(row["goal"]) not in measured]
    tables.json.sort(key=lambda row: int(row["goal"]))
    kept = [note for note in record["notes"] if goal_of(note) and goal_of(note) not in measured]
    tables.notes = sorted(tables.notes + kept, key=goal_of)


def table_row(row):
    return (f"| {row['goal']} | {row['measured']} | {row['ours']} | {row['peer']} | {row['ratio_best']:.2f}x / "
            f"{row['ratio_median']:.2f}x | {row['asked']} | {row['verdict']} | {row['date']} |")


def milliseconds(samples, name):
    return f"{samples.best(name) * 1e3:.4g} / {samples.median(name) * 1e3:.4g} ms"


def faster_of(samples, names):
    there = [name for name in names if name in samples]
    if not there:
        raise RuntimeError("no peer works here")
    return min(there, key=samples.best)


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(math.log(value) for value in values) / len(values))


def products(run, tables):
    """Goals 1 to 3: ratios are geometric means over shapes."""
    few = r"^(packed/|few_rows/|onednn/few/)"
    many = r"^(ours|onednn|eigen)/(forward|input_gradient|weight_gradient)/"
    samples, _ = run.within("gemm_benchmark", f"{few}|{many}", min_time=run.options.product_time)
    shapes = sorted({re.search(r"M:.*", name).group() for name in samples})

    def compare(goal, measured, ours, peer, rows, wanted):
        chosen = [shape for shape in shapes if int(re.match(r"M:(\d+)", shape).group(1)) in rows]
        pairs = [(f"{peer}/{shape}", f"{ours}/{shape}") for shape in chosen]
        if any(name not in samples for pair in pairs for name in pair):
            return
        both = [samples.ratios(*pair) for pair in pairs]
        ratios = [geometric_mean(ratio[i] for ratio in both) for i in (0, 1)]

        def speed(name):
            def operations(shape):
                m, k, n = (int(number) for number in re.findall(r"\d+", shape))
                return 2e-9 * m * k * n
            return geometric_mean(operations(s) / samples.best(f"{name}/{s}") for s in chosen)

        tables.add(goal, measured, f"{speed(ours):.0f} GFLOP/s", f"{peer.split('/')[0]} {speed(peer):.0f} GFLOP/s",
                   ratios, wanted)
        asked, peak = (wanted or 0) * speed(peer), max(run.machine["GFLOPs"])
        if asked > peak:
            tables.notes.append(f"Goal {goal}: {measured}: {wanted:g}x of the peer would be {asked:.0f} GFLOP/s, "
                                f"beyond the machine's peak of {peak:.0f}.")

    for form in ("forward", "input_gradient", "weight_gradient"):
        measured = f"products of 512 and 2048 rows, {form.replace('_', ' ')}"
        compare("1", measured, f"ours/{form}", f"onednn/{form}", (512, 2048), 0.97)
        compare("1", measured, f"ours/{form}", f"eigen/{form}", (512, 2048), 1.3)
    compare("2", "8 rows, packed weights", "packed/float32", "onednn/few", (8,), 1.1)
    compare("2", "8 rows, packed bf16 weights", "packed/bf16", "onednn/few", (8,), 1.5)
    compare("2", "64 rows, packed weights", "packed/float32", "onednn/few", (64,), 0.97)
    compare("2", "8 rows, weights as they are", "few_rows", "onednn/few", (8,), None)
    compare("3", "1 row, packed weights", "packed/float32", "onednn/few", (1,), 1.0)
    compare("3", "1 row, packed bf16 weights", "packed/bf16", "onednn/few", (1,), 1.9)
    compare("3", "1 row, weights as they are", "few_rows", "onednn/few", (1,), None)


def torch_modes(run, service, case):
    return {f"PyTorch {mode}": (service, case, mode) for mode in run.options.modes}


def training_step(run, tables, service):
    samples, told = run.beside("training_step", ("training_step_benchmark", "^(ours|products_onednn|products_eigen)/"),
                               torch_modes(run, service, "training_step"))
    measured = "training step, 5.8 M parameters, 32 x 128 tokens"
    if "products_onednn" in samples:
        tables.add("4", measured, milliseconds(samples, "ours"),
                   f"its products alone, oneDNN {milliseconds(samples, 'products_onednn')}",
                   samples.ratios("ours", "products_onednn"), 1.3, at_least=False)
    best = faster_of(samples, torch_modes(run, service, ""))
    tables.add("4", measured, milliseconds(samples, "ours"), f"{best} {milliseconds(samples, best)}",
               samples.ratios(best, "ours"), 1.5)
    losses = {name: told[name]["first_loss"] for name in ("ours", best)}
    tables.notes.append(f"Goal 4: loss of the first step {losses['ours']:.5f} (ours), {losses[best]:.5f} (PyTorch); "
                        f"allocations from the system in the steps after it: {told['ours']['system_allocations']:.0f}.")


def sampling(run, tables, service):
    for batch, wanted in ((1, 3), (8, 6), (64, 5)):
        samples, _ = run.beside(f"sampling_{batch}", ("sampling_benchmark", f"^ours/{batch}/"),
                                torch_modes(run, service, f"sampling_{batch}"))
        best = faster_of(samples, torch_modes(run, service, ""))
        ours = f"ours/{batch}"
        tables.add("5", f"sampling 128 tokens after 64, batch {batch}", milliseconds(samples, ours),
                   f"{best} {milliseconds(samples, best)}", samples.ratios(best, ours), wanted)


def judge(run, tables):
    samples, told = run.within("judge_benchmark", "^judge/")
    shared, apart = "judge/shared:1", "judge/shared:0"
    possible = told[apart]["tokens"] / told[shared]["tokens"]
    tables.add("6", f"judge, 340 + 8 x 80 tokens (tokens {possible:.2f}x fewer)", milliseconds(samples, shared),
               f"caption read for each question {milliseconds(samples, apart)}", samples.ratios(apart, shared),
               round(0.9 * possible, 2))


def policy_update(run, tables):
    for prompt, response in run.options.updates:
        shape = f"prompt:{prompt}/response:{response}"
        samples, told = run.within("policy_update_benchmark", f"^update/shared:./{shape}")
        shared, apart = f"update/shared:1/{shape}", f"update/shared:0/{shape}"
        possible = told[apart]["flops"] / told[shared]["flops"]
        memory = told[apart]["peak_MB"] / told[shared]["peak_MB"]
        tables.add("7", f"update, {prompt} + 8 x {response} tokens ({possible:.2f}x fewer operations)",
                   milliseconds(samples, shared), f"prompt repeated {milliseconds(samples, apart)}",
                   samples.ratios(apart, shared), round(0.85 * possible, 2))
        tables.notes.append(f"Goal 7: update, {prompt} + 8 x {response}: peak memory "
                            f"{told[shared]['peak_MB']:.0f} MB shared, {told[apart]['peak_MB']:.0f} MB repeated "
                            f"({memory:.2f}x).")


def optimizer(run, tables, service):
    modes = {"PyTorch fused": (service, "adamw_large", "eager")}
    samples, told = run.beside("adamw_large", ("optimizer_benchmark", "^(adamw_large|triad|four_arrays)/"), modes)
    bytes_moved = 28.0 * (1 << 25)
    traffic = {"adamw_large": bytes_moved, "four_arrays": bytes_moved, "triad": 12.0 * (1 << 25)}
    rate = lambda name: f"{traffic[name] / samples.best(name) * 1e-9:.1f} GB/s"
    against_triad = [traffic["adamw_large"] / traffic["triad"] * ratio
                     for ratio in samples.ratios("triad", "adamw_large")]
    tables.add("8", "AdamW, 33.6 M parameters, bytes a second", rate("adamw_large"), f"triad {rate('triad')}",
               against_triad, 0.9)
    tables.add("8", "the same, beside four arrays moved alone", rate("adamw_large"),
               f"four arrays {rate('four_arrays')}", samples.ratios("four_arrays", "adamw_large"), None)
    tables.add("8", "AdamW, 33.6 M parameters", milliseconds(samples, "adamw_large"),
               f"PyTorch fused {milliseconds(samples, 'PyTorch fused')}",
               samples.ratios("PyTorch fused", "adamw_large"), None)
    samples, _ = run.beside("optimizer_decoder", ("optimizer_benchmark", "^optimizer_decoder/"),
                            {"PyTorch fused": (service, "optimizer_decoder", "eager")})
    tables.add("8", "clip, AdamW and zero, 5.8 M parameters", milliseconds(samples, "optimizer_decoder"),
               f"PyTorch fused {milliseconds(samples, 'PyTorch fused')}",
               samples.ratios("PyTorch fused", "optimizer_decoder"), None)


def head(run, tables):
    samples, told = run.within("head_benchmark", "^(four_products|forward_then_backward)/")
    shape = "T:4096/C:256/V:4096"
    ours, peer = f"forward_then_backward/{shape}", f"four_products/{shape}"
    tables.add("9", "head and log-probabilities, 4096 x 256 x 4096", milliseconds(samples, ours),
               f"four products {milliseconds(samples, peer)}", samples.ratios(ours, peer), 1.15, at_least=False)
    tables.notes.append(f"Goal 9: head and log-probabilities: extra memory {told[ours]['extra_MB']:.1f} MB "
                        "(at most 64).")


def start_seconds(run, tables):
    """From the start of the process until both models are there and a prompt is encoded."""
    samples = Samples()
    commands = {"ours": ([str(run.options.programs / "rl_step_benchmark"), "--start"], run.environment),
                "PyTorch": ([sys.executable, "-c", "import rl_step; s = rl_step.RlStep('eager'); "
                             "s.embed_prompts(s.prompts[:1], s.pixels[:1])"],
                            run.peer_environment)}
    for _ in range(run.options.rounds):
        for name, (command, environment) in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, env=environment, cwd=HERE / "peers", check=True)
            samples.add(name, time.perf_counter() - begin)
    run.raw["start"] = dict(samples)
    text = f"{milliseconds(samples, 'ours')}; PyTorch {milliseconds(samples, 'PyTorch')}"
    verdict = "met" if samples.median("ours") <= 0.1 else "missed"
    tables.notes.append(f"Goal 10: start, both models loaded and a prompt encoded (goal: 100 ms): {text}: {verdict}.")


def rl_step(run, tables):
    services = {f"PyTorch {mode}": Service(run, "cases") for mode in run.options.modes}
    try:
        peers = {name: (service, "rl_step", name.split()[1]) for name, service in services.items()}
        samples, told = run.beside("rl_step", ("rl_step_benchmark", "^ours/"), peers)
    finally:
        for service in services.values():
            service.close()
    best = faster_of(samples, peers)
    tables.add("10", "RL step of the tiny captioner, 32 pictures x 8 captions", milliseconds(samples, "ours"),
               f"{best} {milliseconds(samples, best)}", samples.ratios(best, "ours"), 4)
    start = services[best].about["start_MB"]
    ours = told["ours"]["peak_MB"]
    theirs = min(told[name]["peak_MB"] for name in peers if name in samples)
    tables.add("10", "its peak memory", f"{ours:.0f} MB", f"PyTorch {theirs:.0f} MB", (ours / theirs, ours / theirs),
               0.4, at_least=False)
    tables.notes.append(f"Goal 10: of PyTorch's peak, {start:.0f} MB are there once it is imported.")
    for name in ("ours", best):
        phases = ", ".join(f"{part} {told[name][part + '_s'] * 1e3:.0f} ms" for part in ("rollout", "judge", "update"))
        tokens = told[name]["caption_tokens"]
        tables.notes.append(f"Goal 10: {name}, last round: {phases}; {tokens:.0f} caption tokens.")
    start_seconds(run, tables)


def make_video(path, quick):
    if path.exists():
        return
    size, seconds = ("320x180", 12) if quick else ("1280x720", 40)
    part = path.with_suffix(".part.mp4")
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i",
                    f"testsrc2=size={size}:rate=25,noise=alls=10:allf=t", "-t", str(seconds), "-c:v", "libx264",
                    "-preset", "veryfast", "-g", "250", "-keyint_min", "250", "-sc_threshold", "0", "-pix_fmt",
                    "yuv420p", str(part)], check=True)
    part.rename(path)


def video(run, tables):
    make_video(run.options.work / "video.mp4", run.options.quick)
    with Service(run, "video") as service:
        peers = {name: (service, name, "plain") for name in ("ffmpeg_select", "ffmpeg_seek", "pyav", "decord",
                                                              "torchcodec")}
        samples, told = run.beside("video", ("video_benchmark", "^(exact|key_frames|full_decode)/"), peers)
    best = faster_of(samples, peers)
    size = f"{service.about['width']} x {service.about['height']}, {service.about['frames']} frames"
    tables.add("11", f"8 exact frames of H.264, {size}", milliseconds(samples, "exact"),
               f"{best} {milliseconds(samples, best)}", samples.ratios(best, "exact"), 1.1)
    tables.add("11", "key frames alone", milliseconds(samples, "key_frames"),
               f"all frames, ours {milliseconds(samples, 'full_decode')}", samples.ratios("full_decode", "key_frames"),
               10)
    others = ", ".join(f"{name} {milliseconds(samples, name)}" for name in peers if name in samples)
    brightness = ", ".join(f"{name} {told[name]['sum'] / told['exact']['sum']:.4f}" for name in peers
                           if name in samples)
    tables.notes.append(f"Goal 11: readers: {others}. Sums of pixels relative to ours: {brightness}.")


def make_text(path):
    """About 2 MB: this repository's documents and headers, and 10,000 of the generated strings over all planes."""
    sys.path.insert(0, str(ROOT / "tests/reference"))
    import text_generated_strings

    string = text_generated_strings.strings()
    files = [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("include/caprl/**/*.hpp"))]
    parts = [file.read_text(encoding="utf-8") for file in files]
    parts += [string(number) + "\n" for number in range(10000)]
    path.write_bytes("".join(parts).encode())


def tokenizer(run, tables):
    if not QWEN.exists():
        print(f"  goal 15: left out, absent: {QWEN}", flush=True)
        return
    make_text(run.options.work / "text.txt")
    with Service(run, "tokenizer") as service:
        for mode in ("lines", "whole"):
            name, peer = f"encode/{mode}", f"tokenizers {service.about['tokenizers']}"
            samples, told = run.beside(f"tokenizer_{mode}", ("tokenizer_benchmark", f"^{name}/"),
                                       {peer: (service, "encode", mode)})
            if told[name]["tokens"] != told[peer]["tokens"]:
                raise RuntimeError(f"{name}: {told[name]['tokens']:.0f} tokens, the peer has {told[peer]['tokens']}")
            speed = lambda key: f"{service.about['MB'] / samples.best(key):.1f} MB/s"
            tables.add("15", f"encoding {service.about['MB']:.1f} MB of text, {mode}, one thread", speed(name),
                       f"{peer} {speed(peer)}", samples.ratios(peer, name), 1)


def models(run, tables):
    """Published shapes: what takes seconds each time is measured in fewer rounds."""
    if not (run.options.work / "models/models.json").exists():
        layers = "2" if run.options.quick else "100"  # at most
        subprocess.run([str(run.options.programs / "models_benchmark"), "--make", layers], env=run.environment,
                       check=True)
    tables.notes.append("Goal 16: models of published shapes with random weights, float32, from the same folders; "
                        "transformers with SDPA and a cache that grows or is reserved at once, the faster counts; "
                        "where it grows, the prompt is read once for 8 captions, as ours is. What is drawn is the "
                        "likeliest token. A step of training is the mean loss forward and backward, clipping, AdamW.")
    with Service(run, "transformers_models") as service:
        check_peers(service, tables, "Goal 16: same weights, same numbers (ours and transformers')")
        for name, size in service.about["parameters"].items():
            shape = {"text": "SmolLM2 shape", "vlm": "Qwen2.5-VL shape"}[name] + f", {size * 1e-6:.0f} M"
            models_rows(run, tables, service, name, shape)


def models_rows(run, tables, service, name, shape):
    told_prompt = service.about["prompt_tokens"][name]
    peer = f"transformers {service.about['transformers']}"
    seconds = {}

    def compare(case, pattern, measured, modes=("dynamic",)):
        ours = f"{name}_{pattern}"
        peers = {f"{peer} {mode}": (service, f"{name}_{case}", mode) for mode in modes}
        samples, _ = run.beside(f"{name}_{case}", ("models_benchmark", f"^{name}_{case.replace('_', '/captions:')}/"),
                                peers, rounds=min(run.options.rounds, 4))
        best = faster_of(samples, peers)
        tables.add("16", f"{shape}: {measured}", milliseconds(samples, ours), f"{best} {milliseconds(samples, best)}",
                   samples.ratios(best, ours), 1)
        seconds[case] = samples.best(ours), samples.best(best)
        packed = ours.replace("packed:0", "packed:1")
        if packed != ours and packed in samples:
            tables.add("16", f"{shape}: {measured}, weights laid out once", milliseconds(samples, packed),
                       f"{best} {milliseconds(samples, best)}", samples.ratios(best, packed), None)

    compare("prompt", "prompt", f"prompt of {service.about['prompt_tokens'][name]} tokens")
    for captions in (1, 8):
        compare(f"generate_{captions}", f"generate/captions:{captions}/packed:0",
                f"{captions} x 64 tokens after it, the prompt included", ("dynamic", "static"))
        ours, theirs = ((seconds[f"generate_{captions}"][i] - seconds["prompt"][i]) / 63 * 1e3 for i in (0, 1))
        tables.notes.append(f"Goal 16: {shape}: a step of decoding {captions} at a time, without the prompt: "
                            f"{ours:.3g} ms, transformers {theirs:.3g} ms.")
    compare("train", "train", f"training step, {service.about['trained'][name]}")


def check_peers(service, tables, heading="Same weights, same numbers (ours and PyTorch's)"):
    """Peers must compute what we do."""
    checked = service.ask("check - -")
    if "error" in checked:
        raise RuntimeError(f"the peers' check failed: {checked['error']}")
    for name, (ours, theirs) in checked.items():
        if abs(ours - theirs) > 1e-3 * max(1.0, abs(ours)):
            raise RuntimeError(f"the peer disagrees on {name}: {ours} (ours) and {theirs}")
    text = "; ".join(f"{name.replace('_', ' ')} {ours:.6g} and {theirs:.6g}"
                     for name, (ours, theirs) in checked.items())
    tables.notes.append(f"{heading}: {text}.")
    print(f"  peers agree: {text}", flush=True)


def processor():
    names = {line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")}
    return ", ".join(sorted(names)) or platform.machine()


def write(run, tables, about, began):
    folder = folder_of(run.options)
    seconds = run.raw
    if record := earlier_record(run.options):
        keep_other_goals(tables, record)
        seconds = record["seconds"] | seconds
    spread = lambda values: f"{min(values):.0f} to {max(values):.0f}"
    quick = " --quick`: too few rounds to mean anything." if run.options.quick else "`."
    text = [
        "# Benchmarks on the CPU", "", f"Made by `bash tests/benchmarks/run.sh{quick}", "",
        f"{processor()}, {len(run.cpus)} threads; {run.options.rounds} rounds in which ours and the peer alternate; "
        f"FMA peak {spread(run.machine['GFLOPs'])} GFLOP/s and triad {spread(run.machine['triad_GB'])} GB/s, measured "
        f"before each comparison. PyTorch {about['torch']}, eager and `torch.compile`: the faster counts. Load of the "
        f"machine at the start {began[0]:.2f}. What is of an earlier date was measured by an earlier version.", "",
        "Times are best / median. A ratio is best to best / median to median: how many times faster we are where at "
        "least (>=) is asked, our time over the peer's where at most (<=). A goal is met if both ratios reach it. The "
        "scripts of the peers are in `tests/benchmarks/peers/`.", "",
        "| goal | measured | ours | peer | ratio | goal | verdict | date |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |", *[table_row(row) for row in tables.json], "",
        *[f"- {note}" for note in tables.notes], ""]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.md").write_text("\n".join(text))
    record = {"processor": processor(), "threads": len(run.cpus), "rounds": run.options.rounds, "peers": about,
              "load": list(began), "machine": run.machine, "results": tables.json, "notes": tables.notes,
              "seconds": seconds}
    (folder / "cpu.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"written: {folder / 'cpu.md'}, {folder / 'cpu.json'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it runs")
    parser.add_argument("--only", nargs="+", type=int, default=GOALS, help="goals")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--eager", action="store_true", help="leave torch.compile out")
    options = parser.parse_args()
    options.programs, options.work = options.programs.resolve(), options.work.resolve()
    options.rounds = 2 if options.quick else 7
    options.min_time = 0.01 if options.quick else 0.3
    options.product_time = 0.001 if options.quick else 0.02
    options.modes = ["eager"] if options.eager else ["eager", "compile"]
    options.updates = [(64, 64)] if options.quick else [(64, 64), (512, 64), (2048, 128)]
    options.work = options.work / ("quick" if options.quick else "full")
    options.work.mkdir(parents=True, exist_ok=True)
    earlier_record(options)  # fails now, not at the end
    began, begin = os.getloadavg(), time.perf_counter()
    run, tables = Runner(options), Tables()
    if not (options.work / "models/step.json").exists():
        subprocess.run([str(options.programs / "make_models"), str(options.work / "models"),
                        "2" if options.quick else "120"], env=run.environment, check=True)
    wanted = lambda *goals: any(goal in options.only for goal in goals)
    if wanted(1, 2, 3):
        products(run, tables)
    with Service(run, "cases") as service:
        about = service.about
        check_peers(service, tables)
        for goal, part in ((4, training_step), (5, sampling)):
            if wanted(goal):
                part(run, tables, service)
    for goal, part in ((6, judge), (7, policy_update)):
        if wanted(goal):
            part(run, tables)
    if wanted(8):
        with Service(run, "cases") as service:
            optimizer(run, tables, service)
    for goal, part in ((9, head), (10, rl_step), (11, video), (15, tokenizer), (16, models)):
        if wanted(goal):
            part(run, tables)
    write(run, tables, about, began)
    print(f"{time.perf_counter() - begin:.0f} s")


main()
