from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qalipsis.config.loader import Configuration, load
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Settings
from qalipsis.errors import ConfigurationError


def configure(
    folder: Path,
    text: str = "",
    environment: Mapping[str, str] | None = None,
    overrides: tuple[str, ...] = (),
    name: str = "qalipsis.yml",
) -> Configuration:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return load(folder, environment or {}, overrides)


def refusal(folder: Path, text: str = "", **more: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        configure(folder, text, **more).check_unknown(())  # type: ignore[arg-type]
    return str(caught.value)


def test_without_any_source_every_setting_has_its_default(tmp_path: Path) -> None:
    assert load(tmp_path, {}).settings == Settings()


@pytest.mark.parametrize(
    "name", ["qalipsis.yml", "qalipsis.yaml", "config/qalipsis.yml", "config/qalipsis.yaml"]
)
def test_the_file_is_found_in_the_directory_and_in_its_config_folder(tmp_path: Path, name: str) -> None:
    assert configure(tmp_path, "server.port: 9000", name=name).settings.server.port == 9000


@pytest.mark.parametrize("name", ["qalipsis.json", "config/qalipsis.json"])
def test_a_json_file_indented_with_tabs_is_read(tmp_path: Path, name: str) -> None:
    text = '{\n\t"server": {\n\t\t"port": 9000, "api-root": "\\/x\\ty"\n\t}\n}'
    server = configure(tmp_path, text, name=name).settings.server
    assert (server.port, server.api_root) == (9000, "/x\ty")


def test_two_files_are_refused_because_nobody_could_tell_which_counts(tmp_path: Path) -> None:
    (tmp_path / "qalipsis.yml").write_text("server.port: 1")
    message = refusal(tmp_path, "server.port: 2", name="config/qalipsis.json")
    assert "qalipsis.yml and config/qalipsis.json" in message


def test_the_command_line_wins_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    text = "datasource: {pool: {min: 1, max: 11, max-life-time: 1s}}"
    pool = configure(
        tmp_path,
        text,
        {"DATASOURCE_POOL_MIN": "2", "DATASOURCE_POOL_MAX": "12"},
        ("datasource.pool.min=3",),
    ).settings.datasource.pool
    assert (pool.min, pool.max, pool.max_life_time) == (3, 12, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "datasource: {pool: {maxLifeTime: 7s}}",
        "datasource.pool.max-life-time: 7s",
        "datasource:\n  pool.maxLifeTime: PT7S",
    ],
)
def test_nested_dotted_dashed_and_camel_case_keys_are_the_same(tmp_path: Path, text: str) -> None:
    assert configure(tmp_path, text).settings.datasource.pool.max_life_time == 7.0


@pytest.mark.parametrize(
    "override", ["datasource.pool.min=4", "datasource-pool-min=4", "DATASOURCE_POOL_MIN=4"]
)
def test_the_command_line_accepts_dashes_for_dots(tmp_path: Path, override: str) -> None:
    assert configure(tmp_path, overrides=(override,)).settings.datasource.pool.min == 4


def test_unknown_environment_variables_are_ignored(tmp_path: Path) -> None:
    configure(tmp_path, environment={"PATH": "/bin", "DATASOURCE_POOL_MINE": "x", "": ""}).check_unknown(())


def test_every_kind_of_value_is_decoded(tmp_path: Path) -> None:
    settings = configure(
        tmp_path,
        """
        server: {host: 0.0.0.0, port: 80}
        streaming.platform: REDIS
        factory: {workers: auto, zone: eu-west-1, tags: {rack: b2, data-center: x}, node-id: 007}
        campaign: {minions-factor: 2.5, accept-redistribution: yes, seed: 42}
        report.export: {junit: {enabled: off}, html.folder: out}
        events: {root: INFO, level: {step.execution: warn}}
        meters.export: {campaign-step: 500ms, influx: {url: http://x, token: abc}}
        """,
    ).settings
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 80)
    assert settings.streaming.platform == "redis"
    assert settings.factory.workers is None
    assert settings.factory.node_id == "007"
    assert settings.factory.tags == {"rack": "b2", "data-center": "x"}
    assert (settings.campaign.minions_factor, settings.campaign.seed) == (2.5, 42)
    assert settings.campaign.accept_redistribution is True
    assert settings.report.export.junit.enabled is False
    assert settings.report.export.html.folder == "out"
    assert settings.events.level == {"step.execution": "WARN"}
    assert settings.meters.export.campaign_step == 0.5
    assert settings.meters.export.targets == {"influx.url": "http://x", "influx.token": Secret("abc")}


def test_tables_are_filled_from_every_source(tmp_path: Path) -> None:
    tags = configure(
        tmp_path,
        "factory.tags: {a: file, b: file}",
        {"FACTORY_TAGS_B": "environment", "FACTORY_TAGS_C": "environment"},
        ("factory.tags.c=command",),
    ).settings.factory.tags
    assert tags == {"a": "file", "b": "environment", "c": "command"}


def test_a_key_without_value_keeps_its_default(tmp_path: Path) -> None:
    settings = configure(tmp_path, "server:\nredis.uri:\ndatasource: {port: }\nfactory.tags:\n")
    settings.check_unknown(())
    assert settings.settings == Settings()


# The blocks of the cluster documentation


def test_the_documented_single_redis_loads(tmp_path: Path) -> None:
    redis = configure(tmp_path, "redis.uri: redis://redis:6379\n").settings.redis
    assert redis.uri == Secret("redis://redis:6379")


def test_the_documented_redis_cluster_loads_with_its_placeholders_and_pool(tmp_path: Path) -> None:
    query = "verifyPeer=none&clientName=${redis.client-name}&timeout=${redis.timeout}"
    text = f"""redis:
    username: my-redis-username
    password: my-redis-password
    client-name: qalipsis-head # Use a unique identifier for each factory
    timeout: 10s

    uris:
    - "rediss://${{redis.username}}:${{redis.password}}@162.19.1.2:6379?{query}"
    - "rediss://${{redis.username}}:${{redis.password}}@162.19.1.3:6379?{query}"

    pool:
        enabled: true
        min-idle: 2
        max-idle: 5
        max-total: 20
"""
    configuration = configure(tmp_path, text)
    configuration.check_unknown(())
    redis = configuration.settings.redis
    assert redis.uris[1].reveal() == (
        "rediss://my-redis-username:my-redis-password@162.19.1.3:6379"
        "?verifyPeer=none&clientName=qalipsis-head&timeout=10s"
    )
    assert redis.timeout == 10.0
    pool = redis.pool
    assert (pool.enabled, pool.min_idle, pool.max_idle, pool.max_total) == (True, 2, 5, 20)


def test_the_documented_zone_block_loads(tmp_path: Path) -> None:
    assert configure(tmp_path, "factory:\n  zone: eu-west-1\n").settings.factory.zone == "eu-west-1"


# Secrets


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    configuration = configure(
        tmp_path,
        "redis: {password: hunter2, uri: 'redis://u:hunter2@h'}\n"
        "datasource.password: 0042\nshop.password: hunter2",
    )
    assert configuration.settings.datasource.password == Secret("0042")
    assert configuration.properties["shop.password"] == "hunter2"
    shown = f"{configuration!r} {configuration} {configuration.settings.redis.password!s:>5}"
    assert "hunter2" not in shown
    assert "0042" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "redis: {uri: 'http://u:hunter2@h'}",
        "redis: {uris: ['redis://u:hunter2@h:port']}",
        "redis: {uri: 'redis://u:a?hunter2=3@h'}",
        "redis: {password: hunter2, timeout: '${redis.password}'}",
        "redis: {password: hunter2, timeout: '1${shop.copy}'}\nshop.copy: ${redis.password}",
        "server.port: http://u:hunter2@h",
        "redis.password: [hunter2, x]",
        "redis.password: {hunter2: x}\nserver.port: ${redis.password.hunter2}",
        "events.export.kafka.token: hunter2\nserver.port: ${events.export.kafka.token}",
    ],
)
def test_a_wrong_value_is_refused_without_showing_a_secret(tmp_path: Path, text: str) -> None:
    message = refusal(tmp_path, text)
    assert "qalipsis.yml:" in message
    assert "hunter2" not in message.replace("redis.password.hunter2", "")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("redis://h:70000", "(the port must be a number from 0 to 65535)"),
        ("redis://h?colour=red", "(its query may hold verifyPeer, clientName, timeout, database only)"),
        ("redis://h?timeout=soon", "(the timeout of its query is not understood)"),
        ("redis://h?verifyPeer=maybe", "(the verifyPeer of its query is not understood)"),
        ("redis://h?database=first", "(the database of its query is not understood)"),
        ("redis://[::1", "write a URI such as"),
        ("host:6379", "write a URI such as"),
    ],
)
def test_a_redis_uri_is_checked_down_to_its_query(tmp_path: Path, uri: str, reason: str) -> None:
    message = refusal(tmp_path, f"redis.uri: '{uri}'")
    assert message.startswith("qalipsis.yml:1: redis.uri cannot be ***")
    assert reason in message


# Mistakes


def test_every_mistake_names_file_line_and_what_to_write(
    tmp_path: Path,
) -> None:
    message = refusal(
        tmp_path,
        "server:\n  port: many\ncampaign.start-offset: -1s\nevents.root: LOUD\nhead.lease: ${nowhere}\n"
        "factory.workers: -2\nserver.api-root: [a]\nreport: 5\n",
    )
    assert "qalipsis.yml:2: server.port cannot be 'many'\n    write a whole number from 0 to 65535" in message
    assert "qalipsis.yml:3: campaign.start-offset cannot be '-1s' (a duration cannot be negative)" in message
    assert "qalipsis.yml:4: events.root cannot be 'LOUD'\n    write one of `TRACE`" in message
    assert "qalipsis.yml:5: head.lease refers to ${nowhere}" in message
    assert "qalipsis.yml:6: factory.workers cannot be '-2'\n    write `auto` or a whole number" in message
    assert "qalipsis.yml:7: server.api-root cannot be ['a']\n    write text" in message
    assert "qalipsis.yml:8: report is a group of settings" in message


def test_an_unknown_key_names_its_place_and_the_nearest_key(tmp_path: Path) -> None:
    message = refusal(
        tmp_path, "server:\n  prot: 1\nmeters.export.campain-step: 1s\n", overrides=("campaign.sead=3",)
    )
    assert message.splitlines() == [
        "command line -c campaign.sead: unknown key campaign.sead",
        "    did you mean campaign.seed?",
        "qalipsis.yml:2: unknown key server.prot",
        "    did you mean server.port?",
        "qalipsis.yml:3: unknown key meters.export.campain-step",
        "    did you mean meters.export.campaign-step?",
    ]


def test_keys_that_a_scenario_declares_or_a_placeholder_uses_are_known(tmp_path: Path) -> None:
    configuration = configure(
        tmp_path, "base.host: shop\nshop: {url: 'http://${base.host}/', max-pace: 3s}\n", overrides=("x-y=2",)
    )
    configuration.check_unknown(["shop.url", "shop.maxPace", "x.y"])
    with pytest.raises(ConfigurationError, match=r"unknown key shop.max-pace\n    did you mean shop.pace"):
        configuration.check_unknown(["shop.url", "shop.pace", "x.y"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  port: 1\n prot: 2\n", "qalipsis.yml:3: is not valid YAML"),
        ("a: [1\nb: 2\n", "qalipsis.yml:2: is not valid YAML"),
        ("a: {b: \x00}", "is not valid YAML"),
        ("- a\n", "qalipsis.yml:1: holds no settings"),
        ("just text", "qalipsis.yml:1: holds no settings"),
        ("server.port: 1\nserver: {port: 2}", "qalipsis.yml:2: server.port is set a second time"),
        ("a:\n  ? [x]\n  : 1\n", "qalipsis.yml:2: the key is a list or a group"),
        ("a: &a\n  b: *a\n", "a.b contains itself"),
        ("b: 1\na: [!!python/object:os.system x]", "qalipsis.yml:2: is not valid YAML"),
        ("a: " + "[" * 5000, "is not valid YAML"),
        ("b: 1\na: [2024-13-45]", "qalipsis.yml:2: a holds a value that cannot be: month must be in 1..12"),
    ],
)
def test_a_broken_file_is_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


SNIPPETS = st.sampled_from((" ", "  ", "\n", "- ", "a: ", "'", ".port", "${", "}", "$", "redis", "uri")) | (
    st.sampled_from(
        ("[", "]", "{", '"', "&a ", "*a", "<<", "!!int ", "0x", "1e9", "~", "|", ">", "#", "?", ":")
    )
)


@given(st.lists(SNIPPETS | st.text(max_size=3), max_size=30).map("".join))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_file_holds_it_loads_or_is_refused_by_name(tmp_path: Path, text: str) -> None:
    try:
        configure(tmp_path, text.encode("utf-8", "replace").decode()).check_unknown(())
    except ConfigurationError as error:
        assert "qalipsis.yml:" in str(error)  # noqa: PT017, raising is only one of two right answers


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "qalipsis.yml").write_bytes(b"server.host: \xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(tmp_path, {})


@pytest.mark.parametrize("override", ["server.port", "=5", " = "])
def test_an_override_without_key_or_value_is_refused(tmp_path: Path, override: str) -> None:
    assert "write `-c key=value`" in refusal(tmp_path, overrides=(override,))


def test_a_wrong_environment_variable_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, environment={"SERVER_PORT": "tcp://10.0.0.1:80"})
    assert message.startswith("environment variable SERVER_PORT: server.port cannot be 'tcp://10.0.0.1:80'")


def test_exports_that_would_go_nowhere_are_refused(tmp_path: Path) -> None:
    targets = "events.export.elastic.url: http://x\nmeters.export.influx.url: http://x\n"
    assert configure(tmp_path, targets).settings.events.export.targets
    assert configure(tmp_path, "events.export.enabled: true").settings.events.export.enabled
    message = refusal(tmp_path, f"{targets}events.export.enabled: true\nmeters.export.enabled: true\n")
    assert "qalipsis.yml:1: events.export.elastic.url: this version has no targets" in message
    assert "events are written to the log qalipsis.events" in message
    assert "qalipsis.yml:4: meters.export: this version has no targets" in message
    assert "time series of the REST API" in message
    assert "meters.export" in refusal(tmp_path, environment={"METERS_EXPORT_ENABLED": "true"})


def test_times_that_are_too_long_together_are_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "factory.graceful-shutdown:\n  scenario: 14s\n")
    assert (
        "qalipsis.yml:2: factory.graceful-shutdown.minion and factory.graceful-shutdown.scenario are 16 "
        "together, which is more than 15"
    ) in message
    assert "a head waits 20 s for the accounts of a factory" in message
    load_in = load(tmp_path, {}, overrides=("factory.graceful-shutdown.minion=1s",))
    assert load_in.settings.factory.graceful_shutdown.scenario == 14.0


def test_bounds_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "datasource.pool.min: 30\n")
    assert "qalipsis.yml:1: datasource.pool.min (30) is greater than datasource.pool.max (20)" in message


# Properties


def test_a_property_is_found_however_it_is_spelt_and_wherever_it_is_set(tmp_path: Path) -> None:
    properties = configure(
        tmp_path,
        "shop: {pace: 1s, users: [ann, bob], zip: 0123, none: }\n",
        {"SHOP_MAX_PACE": "${shop.pace}"},
        ("shop.other=a=b",),
    ).properties
    assert properties["shop.pace"] == "1s"
    assert properties["shop.maxPace"] == properties["shop.max-pace"] == "1s"
    assert properties["shop.users"] == ["ann", "bob"]
    assert properties["shop.zip"] == "0123"
    assert properties["shop.other"] == "a=b"
    assert properties.get("shop.none", "default") == "default"
    assert "shop.nothing" not in properties
    assert sorted(properties) == ["shop.none", "shop.other", "shop.pace", "shop.users", "shop.zip"]


def test_a_configuration_travels_to_another_process(tmp_path: Path) -> None:
    configuration = configure(tmp_path, "shop.pace: ${PACE}\n", {"PACE": "3s"})
    again = pickle.loads(pickle.dumps(configuration))  # noqa: S301
    assert again.settings == configuration.settings
    assert again.properties["shop.pace"] == "3s"
