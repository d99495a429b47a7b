"""Settings: the only reader of the environment. Documented in docs/reference/settings.md."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace.errors import InvalidSettings


class Settings(BaseSettings):
    """What the environment and `.env` say; every field's description is its documentation."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", case_sensitive=True, env_ignore_empty=True, frozen=True
    )

    database_url: str = Field("", validation_alias="DATABASE_URL", description="PostgreSQL's address.")
    pg_host: str = Field(
        "", validation_alias="PGHOST", description="PostgreSQL's host, without DATABASE_URL."
    )
    pg_port: int = Field(5432, validation_alias="PGPORT", description="PostgreSQL's port.")
    pg_user: str = Field("postgres", validation_alias="PGUSER", description="PostgreSQL's user.")
    pg_password: str = Field("", validation_alias="PGPASSWORD", description="PostgreSQL's password.")
    pg_database: str = Field("headrace", validation_alias="PGDATABASE", description="The database.")
    redis_url_given: str = Field("", validation_alias="REDIS_URL", description="Redis's address.")
    redis_host: str = Field("", validation_alias="REDIS_HOST", description="Redis's host, without REDIS_URL.")
    redis_port: int = Field(6379, validation_alias="REDIS_PORT", description="Redis's port.")
    redis_password: str = Field("", validation_alias="REDIS_PASSWORD", description="Redis's password.")

    host: str = Field("127.0.0.1", validation_alias="HOST", description="The address the API listens on.")
    port: int = Field(3000, ge=0, le=65535, validation_alias="PORT", description="The port of the API.")
    api_host: str = Field(
        "",
        validation_alias="API_HOST",
        description="What `localhost` of `localhost:3000` becomes in a node's URL.",
    )
    api_port: int = Field(
        0, ge=0, le=65535, validation_alias="API_PORT", description="What `3000` of `localhost:3000` becomes."
    )
    cors_origin: str = Field(
        "", validation_alias="CORS_ORIGIN", description="Allowed origins, comma separated, or *."
    )

    worker_concurrency: int = Field(
        64,
        ge=1,
        le=10_000,
        validation_alias="WORKER_CONCURRENCY",
        description="Async nodes at once in one worker.",
    )
    worker_threads: int = Field(
        10,
        ge=1,
        le=1_000,
        validation_alias="WORKER_THREADS",
        description="Threads for sync code in one worker.",
    )
    isolated_processes: int = Field(
        4,
        ge=1,
        le=1_000,
        validation_alias="HEADRACE_ISOLATED_PROCESSES",
        description="Child processes for isolated code in one worker, started when needed.",
    )
    isolated_memory_mb: int = Field(
        1024,
        ge=64,
        validation_alias="HEADRACE_ISOLATED_MEMORY_MB",
        description="Address space, in MiB, that the isolated code of one child process may use.",
    )
    sandboxes: int = Field(
        4,
        ge=1,
        le=1_000,
        validation_alias="HEADRACE_SANDBOXES",
        description="Programs of code nodes and stored activities at once in one worker.",
    )
    sandbox_memory_mb: int = Field(
        1024,
        ge=256,
        le=4096,
        validation_alias="HEADRACE_SANDBOX_MEMORY_MB",
        description="The most memory, in MiB, that a code node may ask for.",
    )
    unsafe_code: bool = Field(
        False,
        validation_alias="HEADRACE_UNSAFE_CODE",
        description="Run code where the kernel has no sandbox for it, and allow bash, which has none.",
    )

    data_dir: Path = Field(
        Path(".headrace"),
        validation_alias="HEADRACE_DATA_DIR",
        description="Where the embedded stack keeps its data.",
    )
    samples: bool = Field(
        True,
        validation_alias="HEADRACE_SAMPLES",
        description="Load the sample workflows into an empty database.",
    )
    http_allow: str = Field(
        "",
        validation_alias="HEADRACE_HTTP_ALLOW",
        description="Hosts, host:port or networks that nodes may call although they are not public.",
    )
    lease_seconds: float = Field(
        30,
        ge=1,
        validation_alias="HEADRACE_LEASE_SECONDS",
        description="A task's lease; renewed after a third of it.",
    )
    sweep_seconds: float = Field(
        5, gt=0, validation_alias="HEADRACE_SWEEP_SECONDS", description="Time between two sweeps."
    )
    lost_delivery_seconds: float = Field(
        10,
        gt=0,
        validation_alias="HEADRACE_LOST_DELIVERY_SECONDS",
        description="How old a delivery is when the sweep asks where it went.",
    )
    grace_seconds: float = Field(
        10,
        ge=0,
        validation_alias="HEADRACE_GRACE_SECONDS",
        description="Time to finish running nodes at shutdown.",
    )
    api_keys: str = Field(
        "",
        validation_alias="HEADRACE_API_KEYS",
        description="`role:key` pairs: viewer, operator, admin; comma separated.",
    )
    open: bool = Field(
        False,
        validation_alias="HEADRACE_OPEN",
        description="Listen beyond loopback although there are no API keys.",
    )
    secret_key: str = Field(
        "",
        validation_alias="HEADRACE_SECRET_KEY",
        description="Seals secrets at rest. Several, comma separated: the first seals, all of them open.",
    )
    log_level: str = Field(
        "INFO", validation_alias="HEADRACE_LOG_LEVEL", description="DEBUG, INFO, WARNING or ERROR."
    )
    log_json: bool = Field(
        False, validation_alias="HEADRACE_LOG_JSON", description="Logs as one JSON object a line."
    )
    url: str = Field(
        "http://127.0.0.1:3000",
        validation_alias="HEADRACE_URL",
        description="The API that the command line talks to.",
    )
    task_modules: str = Field(
        "",
        validation_alias="HEADRACE_TASK_MODULES",
        description="Modules with activities that a worker imports, comma separated.",
    )
    tasks: str = Field(
        "",
        validation_alias="HEADRACE_TASKS",
        description="Folders whose files a worker imports for their activities, comma separated.",
    )
    activities: str = Field(
        "",
        validation_alias="HEADRACE_ACTIVITIES",
        description="The only activities that a worker process offers, comma separated; else all it finds.",
    )
    projects: str = Field(
        "*",
        validation_alias="HEADRACE_PROJECTS",
        description="The projects that a worker process serves, comma separated; * for all.",
    )
    worker_id: str = Field(
        "",
        validation_alias="HEADRACE_WORKER_ID",
        description="The id of this worker process; set by the supervisor, otherwise made up.",
    )
    worker_generation: int | None = Field(
        None,
        validation_alias="HEADRACE_WORKER_GENERATION",
        description="How many restarts its project had when this worker process was started; set by the"
        " supervisor.",
    )
    api_key: str = Field(
        "", validation_alias="HEADRACE_API_KEY", description="The key that the command line sends."
    )

    @cached_property
    def postgres_url(self) -> str:
        """`postgresql://...`, or '' when neither DATABASE_URL nor PGHOST is set."""
        if self.database_url or not self.pg_host:
            return self.database_url
        secret = f":{quote(self.pg_password, safe='')}" if self.pg_password else ""
        return f"postgresql://{quote(self.pg_user)}{secret}@{self.pg_host}:{self.pg_port}/{self.pg_database}"

    @cached_property
    def redis_url(self) -> str:
        """`redis://...`, or '' when neither REDIS_URL nor REDIS_HOST is set."""
        if self.redis_url_given or not self.redis_host:
            return self.redis_url_given
        secret = f":{quote(self.redis_password, safe='')}@" if self.redis_password else ""
        return f"redis://{secret}{self.redis_host}:{self.redis_port}/0"

    @cached_property
    def task_module_names(self) -> tuple[str, ...]:
        """The modules with activities that a worker imports."""
        return tuple(filter(None, (one.strip() for one in self.task_modules.split(","))))

    @cached_property
    def task_folders(self) -> tuple[Path, ...]:
        """The folders whose files a worker imports."""
        return tuple(Path(one.strip()) for one in self.tasks.split(",") if one.strip())

    @cached_property
    def activity_names(self) -> tuple[str, ...]:
        """The only activities that a worker process offers; none: all that it finds."""
        return tuple(filter(None, (one.strip() for one in self.activities.split(","))))

    @cached_property
    def project_names(self) -> tuple[str, ...]:
        """The projects that a worker process serves by name; of one that serves all, the default one."""
        names = tuple(one for one in self._listed_projects if one != "*")
        return names or (("default",) if self.serves_all_projects else ())

    @property
    def serves_all_projects(self) -> bool:
        """Whether a worker process serves every project, also those that are new."""
        return "*" in self._listed_projects

    @property
    def _listed_projects(self) -> list[str]:
        return [one.strip() for one in self.projects.split(",") if one.strip()]

    @property
    def own_api(self) -> tuple[str, int]:
        """Host and port under which nodes reach this API: what `localhost:3000` in their URLs becomes."""
        listens_everywhere = self.host in ("0.0.0.0", "::")
        return (
            self.api_host or ("127.0.0.1" if listens_everywhere else self.host),
            self.api_port or self.port,
        )


def load() -> Settings:
    """Reads the settings; raises InvalidSettings that names each bad one."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise InvalidSettings("; ".join(lines)) from error


def unknown_names() -> list[str]:
    """HEADRACE_* names in the environment that no setting has: most often a typing error."""
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    return sorted(name for name in os.environ if name.startswith("HEADRACE_") and name not in known)
