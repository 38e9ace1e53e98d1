"""Settings: which source wins, and that wrong values and unknown names are refused by name."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from rostra.core import ConfigError, Settings, load_settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file to be written, in a current folder that has none."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "somewhere.toml"


def test_override_wins_over_environment_over_file_over_default(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().port == Settings.model_fields["port"].default
    config.write_text("port = 1001\nshortlist = 11\nmax_k = 12")
    assert load_settings(config).port == 1001
    monkeypatch.setenv("ROSTRA_PORT", "1002")
    monkeypatch.setenv("ROSTRA_SHORTLIST", "21")
    assert load_settings(config).port == 1002
    loaded = load_settings(config, port=1003, shortlist=None)
    assert (loaded.port, loaded.shortlist, loaded.max_k) == (1003, 21, 12)


def test_given_values_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROSTRA_PORT", "1002")
    assert Settings(port=1003).port == 1003
    assert Settings().port == 1002


def test_where_the_file_is_looked_for(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rostra.toml").write_text("port = 1001")
    assert load_settings().port == 1001
    config.write_text("port = 1002")
    monkeypatch.setenv("ROSTRA_CONFIG", str(config))
    assert load_settings().port == 1002
    monkeypatch.setenv("ROSTRA_CONFIG", "")
    assert load_settings().port == 1001


@pytest.mark.parametrize(
    "content", [None, b"port = ", b"host = '\xff'"], ids=["missing", "malformed", "no UTF-8"]
)
def test_an_unreadable_file_is_refused_by_name(
    content: bytes | None, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        config.write_bytes(content)
    monkeypatch.setenv("ROSTRA_CONFIG", str(config))
    with pytest.raises(ConfigError, match=r"settings file .*somewhere\.toml"):
        load_settings()


WRONG = [
    ("port", "x"),
    ("port", "65536"),
    ("port", "-1"),
    ("port", ""),
    ("port", "80.5"),
    ("log_level", "LOUD"),
    ("fusion", "sum"),
    ("embedding_model", ""),
    ("embedding_dimensions", "0"),
    ("embedding_dimensions", "many"),
    ("dense_weight", "1.1"),
    ("dense_weight", "-0.1"),
    ("dense_weight", "nan"),
    ("dense_weight", "heavy"),
    ("parse_timeout", "0"),
    ("parse_timeout", "inf"),
    ("answer_threshold", "nan"),
    ("max_file_bytes", "64MB"),
    ("max_k", "0"),
    ("chunk_overlap", "101"),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name(
    field: str, value: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: "):
        load_settings(**{field: value})
    config.write_text(f"{field} = '{value}'")
    with pytest.raises(ConfigError, match=f"^{field}: "):
        load_settings(config)
    monkeypatch.setenv(f"ROSTRA_{field.upper()}", value)
    with pytest.raises(ConfigError, match=f"^{field}: "):
        load_settings()


@pytest.mark.parametrize("value", ["[1]", "{a = 1}", "2020-01-01", "nan", "'x'"])
def test_a_value_of_a_wrong_toml_type_is_refused_by_name(value: str, config: Path) -> None:
    config.write_text(f"max_k = {value}")
    with pytest.raises(ConfigError, match=r"^max_k: "):
        load_settings(config)


def test_all_wrong_values_are_named_at_once(config: Path) -> None:
    config.write_text("max_k = 0\nfusion = 1")
    with pytest.raises(ConfigError) as caught:
        load_settings(config)
    assert {part.split(":")[0] for part in caught.value.message.split("; ")} == {"max_k", "fusion"}


def test_an_unknown_key_is_refused_by_name(config: Path) -> None:
    config.write_text("shortlsit = 1\n[server]\nport = 1")
    with pytest.raises(ConfigError) as caught:
        load_settings(config)
    assert "shortlsit: there is no such setting, did you mean shortlist?" in caught.value.message
    assert "server: there is no such setting" in caught.value.message


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ROSTRA_DATABSE_URL", "ROSTRA_DATABASE_URL"),
        ("ROSTRA_CONFIGS", "ROSTRA_CONFIG"),
        ("rostra_prot", "ROSTRA_PORT"),
        ("ROSTRA_XQJ", None),
        ("ROSTRA_", None),
    ],
)
def test_an_unknown_variable_is_refused_by_name(
    name: str, meant: str | None, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.message == f"{name}: there is no such setting" + (
        f", did you mean {meant}?" if meant else ""
    )


@pytest.mark.parametrize("name", ["ROSTRA_SKIP_WEB", "ROSTRA_REQUIRE_WEB", "ROSTRA_URL"])
def test_variables_of_the_web_build_are_no_settings(
    name: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert load_settings() == Settings()


def test_a_variable_may_be_in_lower_case(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("rostra_port", "1002")
    assert load_settings().port == 1002


def test_every_setting_is_documented() -> None:
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().__setattr__("port", 1)


@pytest.mark.parametrize("folder", ["data", "a b", "50%41", "what?x=1", "#@:é\U0001f600", "a+b"])
def test_the_default_database_lies_in_the_home_whatever_its_name(
    folder: str, tmp_path: Path
) -> None:
    home = tmp_path / folder
    assert make_url(Settings(home=home).resolved_database_url).database == str(home / "rostra.db")


def test_a_given_database_url_is_kept() -> None:
    url = "postgresql://user@host/name"
    assert Settings(database_url=url).resolved_database_url == url
