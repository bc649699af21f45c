#!/usr/bin/env python3
"""Runs plans against a suite that is up, prints every module with its result, and compares with the expectations.

    run.py --suite URL --issuer URL --kakao URL --secret SECRET --directory RUN --rotate COMMAND [PLAN...]

RUN holds one.jwks.json and two.jwks.json; each module's log is written to RUN/log/PLAN/MODULE.json. The exit code is 0 when nothing but
what expected.txt lists was seen and, with --most-warnings, no plan has more of them.
"""
import argparse, collections, json, pathlib, shlex, ssl, subprocess, sys, time, urllib.parse, urllib.request

from plans import PLANS, configuration

HERE = pathlib.Path(__file__).parent
INSECURE = ssl._create_unverified_context()  # its certificate is by a CA of this run; both ends are on this machine
ENDED = ("FINISHED", "INTERRUPTED")
LEVELS = {"FAILURE": "FAILED", "WARNING": "WARNING"}


def get(url, method="GET", body=None, **query):
    if query:
        url += "?" + urllib.parse.urlencode(query)
    request = urllib.request.Request(url, method=method, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, context=INSECURE, timeout=60) as answer:
        return json.load(answer)


def said(line):
    """What a line of a module's log says, short; the whole of it is in the log."""
    message = " ".join(line.get("msg", "").split())
    missing = line.get("missing_items") or line.get("unknown_properties")
    return message[:150] + (" …" if len(message) > 150 else "") + (f" {json.dumps(missing)}" if missing else "")


class Run:
    def __init__(self, asked):
        self.asked, self.api = asked, asked.suite + "/api/"

    def wait(self, module, states, seconds=240):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            info = get(self.api + "info/" + module)
            if info["status"] in states:
                return info
            time.sleep(0.3)
        return {**info, "result": "FAILED", "stuck": f"still {info['status']} after {seconds} s"}

    def signing_keys(self):
        return {key["kid"] for key in get(self.asked.issuer + "/.well-known/jwks.json")["keys"]}

    def rotate(self):
        before = self.signing_keys()
        # A key signs only once it was published for longer than a JWKS may be cached: refused before that, with how long to wait.
        until = time.monotonic() + 240
        while subprocess.run(shlex.split(self.asked.rotate), stdout=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > until:
                raise SystemExit("conformance: the keys could not be rotated")
            time.sleep(5)
        for _ in range(120):
            if self.signing_keys() - before:
                return
            time.sleep(1)
        print("conformance: no new key in the JWKS two minutes after a rotation", file=sys.stderr)

    def module(self, plan, entry):
        """What became of one module: its result, and what was not in order as {(level, condition): message}."""
        name, variant = entry["testModule"], json.dumps(entry.get("variant") or {})
        module = get(self.api + "runner", "POST", b"", test=name, plan=plan, variant=variant)["id"]
        info = self.wait(module, ("CONFIGURED", "WAITING", *ENDED))
        if info["status"] == "CONFIGURED" and name == "oidcc-server-rotate-keys":
            # It has read the keys, and reads them again when it is started.
            self.rotate()
            get(self.api + "runner/" + module, "POST", b"")
        info = self.wait(module, ENDED)
        log = get(self.api + "log/" + module)
        found = {(LEVELS[line["result"]], line["src"]): said(line) for line in log if line.get("result") in LEVELS}
        result = info.get("result") or "UNKNOWN"
        if result == "SKIPPED":
            found["SKIPPED", "-"] = next((said(line) for line in reversed(log) if line.get("result") == "SKIPPED"), "")
        elif info["status"] != "FINISHED" or result not in ("PASSED", "WARNING", "REVIEW"):
            if not any(level == "FAILED" for level, _ in found):
                found["FAILED", "-"] = info.get("stuck") or f"{info['status']}, {result}"
            result = "FAILED"
        return result, found, log


def expectations():
    for number, line in enumerate((HERE / "expected.txt").read_text().splitlines(), 1):
        fields = line.split("#")[0].split()
        if fields and len(fields) != 4:
            sys.exit(f"expected.txt:{number}: PLAN MODULE LEVEL CONDITION are expected, and perhaps a comment")
        if fields:
            yield tuple(fields)


def main():
    parser = argparse.ArgumentParser()
    for name in ("suite", "issuer", "kakao", "secret", "directory", "rotate"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--most-warnings", type=int)
    parser.add_argument("plans", nargs="*", metavar="PLAN")
    asked = parser.parse_args()
    unknown = set(asked.plans) - {plan[0] for plan in PLANS}
    if unknown:
        sys.exit(f"no such plan: {' '.join(unknown)}; there are {' '.join(plan[0] for plan in PLANS)}")
    chosen = [plan for plan in PLANS if not asked.plans or plan[0] in asked.plans]
    directory, run = pathlib.Path(asked.directory), Run(asked)
    keys = {name: json.loads((directory / f"{name}.jwks.json").read_text()) for name in ("one", "two")}

    counts, seen, messages = {}, set(), {}
    print(f"{'plan':12} {'module':82} result")
    for short, name, variant, client in chosen:
        body = json.dumps(configuration(client, asked.issuer, asked.kakao, asked.secret, keys)).encode()
        plan = get(run.api + "plan", "POST", body, planName=name, variant=json.dumps(variant))
        counts[short] = collections.Counter()
        logs = directory / "log" / short
        logs.mkdir(parents=True, exist_ok=True)
        for entry in plan["modules"]:
            module = entry["testModule"]
            result, found, log = run.module(plan["id"], entry)
            print(f"{short:12} {module:82} {result}", flush=True)
            (logs / f"{module}.json").write_text(json.dumps(log, indent=1))
            counts[short][result] += 1
            for (level, condition), message in found.items():
                seen.add((short, module, level, condition))
                messages[short, module, level, condition] = message

    expected = list(expectations())
    same = lambda have, want: want[0] in ("*", have[0]) and have[1:] == want[1:]
    print("\nWhat was not in order:")
    for found in sorted(seen):
        print(" ", *found, "|", messages[found])
    columns = ("PASSED", "REVIEW", "WARNING", "SKIPPED", "FAILED")
    print(f"\n{'plan':12} modules " + " ".join(f"{column:>8}" for column in columns))
    for short, count in counts.items():
        print(f"{short:12} {sum(count.values()):7} " + " ".join(f"{count[column]:8}" for column in columns))

    wrong = [f"{' '.join(found)}: {messages[found]}" for found in sorted(seen) if not any(same(found, want) for want in expected)]
    if asked.most_warnings is not None:
        wrong += [f"{short}: {count['WARNING']} modules with warnings, at most {asked.most_warnings} are wanted"
                  for short, count in counts.items() if count["WARNING"] > asked.most_warnings]
    names = {plan[0] for plan in chosen}
    for want in expected:
        if (want[0] in names or want[0] == "*" and len(chosen) == len(PLANS)) and not any(same(found, want) for found in seen):
            print("conformance: expected but not seen, take it out of expected.txt:", *want)
    for line in wrong:
        print("conformance: NOT EXPECTED:", line)
    print("conformance:", f"not as expected in {len(wrong)} points" if wrong else "everything as expected")
    sys.exit(1 if wrong else 0)


main()
