"""What can be configured: one typed object, with a description of each setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

BASE_DIR = Path(__file__).resolve().parents[3]


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _absolute(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    for folder in folders:
        if not folder.is_absolute():
            raise ValueError(f"{folder} is no whole path; begin it with /")
    return folders


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Folders = Annotated[tuple[Path, ...], BeforeValidator(_split), AfterValidator(_absolute)]


def setting(
    default: Any, description: str, *, env: str, yaml: str = "", secret: bool = False, **rules: Any
) -> Any:
    """Describe one setting: its environment variable and, where it has one, its YAML key."""
    extra: dict[str, Any] = {"env": env, "yaml": yaml, "secret": secret}
    return Field(
        default, description=description, json_schema_extra=extra, repr=not secret, **rules
    )


class Config(BaseModel):
    """Everything that can be configured, with its unit in its name and its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = setting(
        BASE_DIR / "data",
        "Folder of everything the server keeps: store, extracts, analytics, state.",
        env="DATA_DIR",
    )
    state_dir: Path | None = setting(
        None, "Folder of the database and keys; `DATA_DIR/state` when unset.", env="STATE_DIR"
    )
    config_dir: Path = setting(
        BASE_DIR / "config", "Folder in which `instance.yaml` is looked for.", env="CONFIG_DIR"
    )
    instance_name: str = setting(
        "Agnes",
        "Name of the installation, shown on its pages.",
        env="AGNES_INSTANCE_NAME",
        yaml="instance.name",
    )
    server_url: str = setting(
        "http://127.0.0.1:8000",
        "Public address of the server, used in links; on one machine, it follows `AGNES_BIND`.",
        env="SERVER_URL",
        yaml="server.url",
    )
    allowed_hosts: Names = setting(
        ("localhost", "127.0.0.1", "[::1]"),
        "Host names the server answers to, comma separated.",
        env="AGNES_ALLOWED_HOSTS",
        yaml="server.allowed_hosts",
    )
    bind: str = setting(
        "127.0.0.1:8000",
        "Address and port the web server listens on.",
        env="AGNES_BIND",
        pattern=r"^[^\s:]+:[0-9]{1,5}$|^\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}$",
    )
    web_threads: int = setting(
        32,
        "Requests that one web process answers at the same time.",
        env="AGNES_WEB_THREADS",
        ge=1,
        le=512,
    )
    web_processes: int = setting(2, "Web processes.", env="AGNES_WEB_PROCESSES", ge=1, le=64)
    worker_processes: int = setting(
        2,
        "Processes for runs, each with one run at a time.",
        env="AGNES_WORKER_PROCESSES",
        ge=1,
        le=64,
    )
    is_behind_https: bool = setting(
        False,
        "Whether people reach the server by https: cookies are then sent by https only.",
        env="AGNES_HTTPS",
        yaml="server.https",
    )
    debug: bool = setting(
        False, "Show details of errors in the browser; never in production.", env="DEBUG"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "INFO", "Least severe level that is logged.", env="LOG_LEVEL"
    )
    log_format: Literal["text", "json"] = setting(
        "text", "`text` for people, `json` for programs.", env="AGNES_LOG_FORMAT"
    )
    secret_key: str = setting(
        "",
        "Key that signs sessions; generated into the state folder when unset.",
        env="SESSION_SECRET",
        yaml="auth.webapp_secret_key",
        secret=True,
    )
    secrets_keys: str = setting(
        "",
        "Keys that the secrets of sources are encrypted with, comma separated, the newest first; "
        "kept in a file when unset.",
        env="AGNES_SECRETS_KEYS",
        secret=True,
    )
    secrets_keys_file: Path | None = setting(
        None,
        "File of these keys, one a line; `keys/secrets` in the state folder when unset.",
        env="AGNES_SECRETS_KEYS_FILE",
    )
    secret_variables: Names = setting(
        (
            "AGNES_SOURCE_*",
            "KBC_TOKEN",
            "KBC_STORAGE_TOKEN",
            "KEBOOLA_STORAGE_TOKEN",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        "Environment variables that a source may take a secret from, comma separated; `*` at the "
        "end stands for any ending. Those of the server itself never are.",
        env="AGNES_SECRET_VARIABLES",
        yaml="secrets.variables",
    )
    database_url: str = setting(
        "",
        "`postgres://user:password@host/name`; SQLite in the state folder when unset.",
        env="DATABASE_URL",
        secret=True,
    )
    redis_url: str = setting(
        "",
        "`redis://host:6379/0` as broker and cache; folders below `DATA_DIR` when unset.",
        env="REDIS_URL",
        secret=True,
    )
    queue_prefix: str = setting(
        "",
        "Prefix of all keys in Redis, where several installations share one.",
        env="AGNES_QUEUE_PREFIX",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
    )
    x_accel_prefix: str = setting(
        "",
        "Internal location by which nginx or Caddy send stored files, such as `/store/`.",
        env="AGNES_X_ACCEL_PREFIX",
        yaml="server.x_accel_prefix",
        pattern=r"^(/.*/)?$",
    )
    session_days: int = setting(
        14,
        "Days after which a browser has to sign in again.",
        env="AGNES_SESSION_DAYS",
        yaml="auth.session_days",
        ge=1,
        le=365,
    )
    run_lease_seconds: int = setting(
        20,
        "Time after which a silent worker has lost its run.",
        env="AGNES_RUN_LEASE_SECONDS",
        yaml="runs.lease_seconds",
        ge=2,
        le=3600,
    )
    run_sweep_seconds: int = setting(
        15,
        "Time between two looks for runs without a worker.",
        env="AGNES_RUN_SWEEP_SECONDS",
        yaml="runs.sweep_seconds",
        ge=1,
        le=3600,
    )
    run_attempts: int = setting(
        5,
        "Times a run is taken up again after its worker died.",
        env="AGNES_RUN_ATTEMPTS",
        yaml="runs.attempts",
        ge=1,
        le=100,
    )
    run_timeout_seconds: int = setting(
        3600,
        "Time after which the work of one run is ended.",
        env="AGNES_EXTRACTOR_TIMEOUT_SEC",
        yaml="runs.timeout_seconds",
        ge=1,
    )
    run_memory_bytes: int = setting(
        4 * 1024**3,
        "Address space that the child process of one run may use.",
        env="AGNES_RUN_MEMORY_BYTES",
        yaml="runs.memory_bytes",
        ge=512 * 1024**2,
    )
    default_schedule: str = setting(
        "every 1h",
        "Schedule of materialized tables that have none, and whose source has none.",
        env="AGNES_DEFAULT_SYNC_SCHEDULE",
        yaml="runs.default_schedule",
    )
    schedule_tick_seconds: int = setting(
        30,
        "Time between two looks for tables that are due.",
        env="SCHEDULER_TICK_SECONDS",
        yaml="runs.tick_seconds",
        ge=1,
        le=60,
    )
    schedule_spread_seconds: int = setting(
        300,
        "Time over which runs that are due at the same moment start one after the other; at most "
        "a tenth of the time to the next slot.",
        env="AGNES_SCHEDULE_SPREAD_SECONDS",
        yaml="runs.spread_seconds",
        ge=0,
        le=3600,
    )
    run_retries: int = setting(
        5,
        "Times a scheduled run is tried again after its source failed, with growing pauses.",
        env="AGNES_RUN_RETRIES",
        yaml="runs.retries",
        ge=0,
        le=20,
    )
    remote_attach_extensions: Names = setting(
        ("keboola", "bigquery"),
        "DuckDB extensions by which the extract of another producer may have remote tables looked "
        "at, comma separated.",
        env="AGNES_REMOTE_ATTACH_EXTENSIONS",
    )
    remote_attach_token_envs: Names = setting(
        (
            "KBC_TOKEN",
            "KBC_STORAGE_TOKEN",
            "KEBOOLA_STORAGE_TOKEN",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        "Environment variables from which the extract of another producer may have a secret taken, "
        "comma separated. Those of the server itself never are.",
        env="AGNES_REMOTE_ATTACH_TOKEN_ENVS",
    )
    scan_seconds: int = setting(
        30,
        "Time between two looks for extract folders of other producers.",
        env="AGNES_SCAN_SECONDS",
        yaml="runs.scan_seconds",
        ge=1,
        le=3600,
    )
    files_roots: Folders = setting(
        (),
        "Folders below which sources may read files, comma separated; when unset: "
        "`DATA_DIR/files`, `/data`, `/mnt`, `/srv` and the home folder of the server's user.",
        env="AGNES_FILES_ROOTS",
        yaml="files.roots",
    )
    files_hosts: Names = setting(
        (),
        "Hosts that sources may fetch files from, comma separated: `data.example.com`, "
        "`*.example.com`, `host:8443`, `*` for every public one. Private addresses count only "
        "where they are listed as well: `10.1.2.3`, `10.0.0.0/8`.",
        env="AGNES_FILES_HOSTS",
        yaml="files.hosts",
    )
    kept_versions: int = setting(
        5,
        "Versions of a table that are kept for roll-back.",
        env="AGNES_KEPT_VERSIONS",
        yaml="retention.versions",
        ge=1,
        le=1000,
    )
    kept_file_seconds: int = setting(
        3600,
        "Time for which a stored file that no version names is kept after it was last written or "
        "taken up.",
        env="AGNES_KEPT_FILE_SECONDS",
        yaml="retention.file_seconds",
        ge=0,
    )
    scrub_seconds: int = setting(
        300,
        "Time between two readings of some stored files, to find those that the disk has damaged.",
        env="AGNES_SCRUB_SECONDS",
        yaml="retention.scrub_seconds",
        ge=1,
        le=86_400,
    )
    scrub_bytes: int = setting(
        1024**3,
        "How much is read each time, at least one file; all of them once a day at most.",
        env="AGNES_SCRUB_BYTES",
        yaml="retention.scrub_bytes",
        ge=1,
    )
    combined_max_bytes: int = setting(
        256 * 1024**2,
        "Size up to which a table of several parts is also kept as one file.",
        env="AGNES_COMBINED_MAX_BYTES",
        yaml="distribution.combined_max_bytes",
        ge=0,
    )
    failpoint: str = setting(
        "",
        "For tests: end the process with SIGKILL at these named steps, comma separated.",
        env="AGNES_FAILPOINT",
    )
    failpoint_once: Path | None = setting(
        None,
        "For tests: folder for a file of the name of each failpoint that has ended a process; it "
        "then stays off.",
        env="AGNES_FAILPOINT_ONCE",
    )

    @property
    def state(self) -> Path:
        """The folder of the database and keys."""
        return self.state_dir or self.data_dir / "state"

    @property
    def readable_roots(self) -> tuple[Path, ...]:
        """The folders below which sources may read files."""
        if self.files_roots:
            return self.files_roots
        usual = (self.data_dir.absolute() / "files", Path("/data"), Path("/mnt"), Path("/srv"))
        home = Path.home()
        return (*usual, home) if home != Path("/") else usual


def described() -> Iterator[tuple[str, FieldInfo, str, str, bool]]:
    """Yield each setting: name, field, environment variable, YAML key, whether it is a secret."""
    for name, info in Config.model_fields.items():
        extra = info.json_schema_extra
        assert isinstance(extra, dict)
        yield name, info, str(extra["env"]), str(extra["yaml"]), bool(extra["secret"])
