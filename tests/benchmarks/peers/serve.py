"""Does the cases of a module (cases.py, video.py) when told to. A line `CASE MODE prepare` on standard input makes a
case ready and runs it twice, `CASE MODE SECONDS` runs it for at least that long, `CASE MODE forget` drops it. Each is
answered by a line of JSON: the mean seconds of a run and what else the case tells.
usage: serve.py MODULE"""
import importlib
import json
import sys
import time


def timed(run, seconds):
    count, told, begin = 0, {}, time.perf_counter()
    while True:
        told = run()
        count += 1
        elapsed = time.perf_counter() - begin
        if elapsed >= seconds:
            return {"seconds": elapsed / count, "runs": count, **told}


def answer(module, ready, name, mode, what):
    if name == "check":
        return module.check()
    if what == "prepare":
        begin = time.perf_counter()
        ready[name, mode] = module.CASES[name](mode)
        for _ in range(2):
            told = ready[name, mode]()
        return {"prepare_seconds": time.perf_counter() - begin, **told}
    if what == "forget":
        return {"forgotten": ready.pop((name, mode), None) is not None}
    return timed(ready[name, mode], float(what))


def main():
    output, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    module = importlib.import_module(sys.argv[1])
    print(json.dumps(module.about()), file=output, flush=True)
    ready = {}
    for line in sys.stdin:
        try:
            told = answer(module, ready, *line.split())
        except Exception as error:  # a mode that does not work here is reported, not fatal
            told = {"error": f"{type(error).__name__}: {str(error)[:400]}"}
        print(json.dumps(told), file=output, flush=True)


main()
