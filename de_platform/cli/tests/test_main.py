"""Commands answer on standard output, complain on standard error, and end with documented codes."""

import json
import subprocess
import sys

import pytest

from de_platform.cli.exit_codes import ExitCode, code_of
from de_platform.cli.main import COMMANDS, help_text, main
from de_platform.pipeline.errors import InvalidInput, Unavailable


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DE_PLATFORM_DATA_DIR", "DE_PLATFORM_LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)


Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_begins_with_examples_and_lists_the_commands(words: list[str], capsys: Captured) -> None:
    assert main(words) == ExitCode.OK
    out = capsys.readouterr().out
    assert out == help_text()
    assert out.startswith("Examples:")
    assert [command.name for command in COMMANDS if command.is_shown and f"    {command.name} " not in out] == []


def test_help_imports_no_command() -> None:
    program = (
        "import sys; from de_platform.cli.main import main; main(['--help']);"
        "sys.exit(sorted({'cyclopts', 'rich', 'uvicorn', 'litestar', 'psycopg'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [c.name for c in COMMANDS if c.is_shown])
def test_every_command_explains_itself_with_examples(command: str, capsys: Captured) -> None:
    assert main([command, "--help"]) == ExitCode.OK
    assert capsys.readouterr().out.lstrip().startswith("Example")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["moduls"], "did you mean modules?"),
        (["run", "hello_wrld"], "did you mean hello_world?"),
        (["run", "hello_world", "--nme", "x"], "did you mean --name?"),
        (["run", "--name", "x"], "the module's name comes first"),
        (["run", "hello_world", "--mq", "memry"], "did you mean memory?"),
        (["run", "hello_world", "--db", "=x"], "must be name=implementation"),
        (["run", "hello_world", "--env", "[]"], "JSON object"),
        (["run", "hello_world", "--env-file", "/nowhere"], "cannot be read"),
        (["run", "hello_world", "--env", '{"DE_PLATFORM_LOG_LEVL": "x"}'], "did you mean DE_PLATFORM_LOG_LEVEL?"),
        (["config", "shw"], 'Did you mean "show"?'),
        (["modules", "--outputt", "json"], "Did you mean --output?"),
        (["modules", "-o", "xml"], "table"),
        (["run", "hello_world", "--name", " "], "must not be empty"),
    ],
)
def test_what_is_wrong_is_said_with_a_suggestion(words: list[str], expected: str, capsys: Captured) -> None:
    assert main(words) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert expected in " ".join(captured.err.split())
    assert captured.out == ""


def test_every_fault_of_a_line_is_named(capsys: Captured) -> None:
    assert main(["run", "hello_world", "--nme=x", "--health-port", "y"]) == ExitCode.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_job_runs_to_its_end(capsys: Captured) -> None:
    assert main(["run", "hello_world", "--name", "Ada"]) == ExitCode.OK
    captured = capsys.readouterr()
    assert '"name": "Ada"' in captured.err
    assert captured.out == ""


def test_data_dir_without_a_platform_is_unavailable(tmp_path, capsys: Captured) -> None:
    assert main(["run", "hello_world", "--data-dir", str(tmp_path)]) == ExitCode.UNAVAILABLE
    assert f"de-platform up --data-dir {tmp_path}" in capsys.readouterr().err


def test_modules_are_listed_as_data(capsys: Captured) -> None:
    assert main(["modules", "-o", "json"]) == ExitCode.OK
    assert "hello_world" in {row["name"] for row in json.loads(capsys.readouterr().out)}


def test_settings_are_shown_with_their_origin_and_without_secrets(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_POSTGRES_PASSWORD", "hunter22")
    assert main(["config", "show", "--origin", "-o", "ndjson", "--env", '{"MQ_LOCAL_PATH": "/x"}']) == ExitCode.OK
    out = capsys.readouterr().out
    rows = {row["name"]: row for row in map(json.loads, out.splitlines())}
    assert "hunter22" not in out
    assert rows["DB_POSTGRES_PASSWORD"]["origin"] == "environment"
    assert rows["MQ_LOCAL_PATH"] == {"name": "MQ_LOCAL_PATH", "value": "/x", "origin": "--env"}
    assert rows["DE_PLATFORM_LOG_LEVEL"]["origin"] == "default"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput.single("a", "b"), 2),
        (Unavailable("postgres", "refused"), 3),
        (ValueError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_kind_of_error_has_its_code(error: BaseException, code: int) -> None:
    assert code_of(error) == code
