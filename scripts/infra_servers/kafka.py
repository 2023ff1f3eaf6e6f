"""Apache Kafka, one node without a quorum of others, from the jars that Maven brings."""

import base64
import os
import re
import shutil
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.infra_servers import programs
from scripts.infra_servers.errors import CannotBeHad, DidNotStart
from scripts.infra_servers.ports import HOST
from scripts.infra_servers.server import Launch, Server
from scripts.infra_servers.state import exclusive

_POM = Path(__file__).with_name("kafka-pom.xml")
_OLDEST_JAVA = 17
_BROKER = "kafka.Kafka"
_CLASS_LOGGING = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")
_PACKAGES_OF_JAVA = ("openjdk-17-jre-headless", "maven")
_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
"""The quick compiler alone: brokers of tests live for seconds, and most of their work would be to optimize it."""
_API_METADATA, _VERSION = 3, 4

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=DIRECT://{host}:{main},PROXIED://{host}:{proxied},CONTROLLER://{host}:{controller}
advertised.listeners=DIRECT://{host}:{main},PROXIED://{host}:{proxy}
listener.security.protocol.map=DIRECT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller}
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=8388608
log.segment.bytes=134217728
"""

_LOGGING = """\
status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.target=SYSTEM_ERR
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c: %m%n
"""


class Kafka(Server):
    """Two doors: the port `main`, and `proxied`, whose clients are told to come by the port `proxy`.

    Nobody listens on `proxy` until a test puts a fault proxy there, from `proxy` to `proxied`.
    """

    name = "kafka"
    setting = "MQ_KAFKA_BOOTSTRAP_SERVERS"
    port_names = ("main", "controller", "proxied", "proxy")
    lent_port_names = ("proxy",)

    @property
    def _jars(self) -> Path:
        return self.downloads / f"kafka-{_version()}"

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _classes(self) -> Path:
        """What the JVM remembers of loading its classes; another JVM than the one that wrote it leaves it aside."""
        return self._jars / "classes.jsa"

    def install(self) -> None:
        """Effects in order: 1. Java and Maven, if missing and this is root, 2. the jars, 3. a first run, to learn."""
        if _java() is None or (programs.find("mvn") is None and not self._jars.exists()):
            programs.install_toolchain(self.name, _PACKAGES_OF_JAVA)
        if _java() is None:
            raise CannotBeHad(self.name, f"Java {_OLDEST_JAVA} or newer is needed")
        with exclusive(self.downloads / "kafka.lock"):
            if not self._jars.exists():
                self._fetch_jars()
            if not self._classes.exists():
                self._learn()

    def _fetch_jars(self) -> None:
        """All of them or none."""
        draft = self._jars.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={draft}")
        programs.run(self.name, ["mvn", "--quiet", "--batch-mode", "--file", _POM, *goal])
        draft.rename(self._jars)

    def _learn(self) -> None:
        """Let one broker start and end, writing down its classes: every later start takes a third of the time."""
        with TemporaryDirectory(dir=self.downloads) as scratch:
            first = _FirstRun(Path(scratch), self.downloads)
            try:
                first.start()
            finally:
                first.stop()

    def prepare(self) -> Launch:
        """Write the configuration; format the storage aside and put it in place, so storage that is there is whole."""
        (self.directory / "log4j2.properties").write_text(_LOGGING, encoding="ascii")
        self._write_properties(self._data)
        if not self._data.exists():
            draft = self.directory / "data.draft"
            shutil.rmtree(draft, ignore_errors=True)
            properties = self._write_properties(draft, "format.properties")
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            arguments = ("format", "--standalone", f"--cluster-id={cluster}", "--config", str(properties))
            launch = self._java_runs("kafka.tools.StorageTool", *arguments)
            programs.run(self.name, launch.argv, environment=launch.environment, failure=DidNotStart)
            draft.rename(self._data)
        return self._java_runs(_BROKER, str(self.directory / "server.properties"))

    def answers(self) -> bool:
        """A broker that serves names itself in the metadata; one that still starts names nobody."""
        body = struct.pack("!hhihib", _API_METADATA, _VERSION, 1, -1, 0, 0)
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                connection.sendall(struct.pack("!i", len(body)) + body)
                with connection.makefile("rb") as answer:
                    _length, _correlation, _throttle, brokers = struct.unpack("!iiii", answer.read(16))
        except (OSError, struct.error):
            return False
        return brokers > 0

    def env(self) -> Mapping[str, str]:
        return {"MQ_KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self.port}"}

    def _write_properties(self, data: Path, name: str = "server.properties") -> Path:
        path = self.directory / name
        path.write_text(_PROPERTIES.format(host=HOST, data=data, **self.state.ports), encoding="utf-8")
        return path

    def _java_runs(self, main_class: str, *arguments: str) -> Launch:
        java = _java()
        assert java is not None, "it is installed"
        logging = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}"
        jars = os.pathsep.join(map(str, sorted(self._jars.glob("*.jar"))))
        argv = (str(java), *_JVM, *self._class_options(main_class), logging, "-cp", jars, main_class, *arguments)
        return Launch(argv=argv, environment=dict(os.environ))

    def _class_options(self, main_class: str) -> Sequence[str]:
        del main_class
        return (f"-XX:SharedArchiveFile={self._classes}", *_CLASS_LOGGING)


class _FirstRun(Kafka):
    """A broker that writes its classes down when it ends."""

    def install(self) -> None:
        return

    def _class_options(self, main_class: str) -> Sequence[str]:
        return (f"-XX:ArchiveClassesAtExit={self._classes}", *_CLASS_LOGGING) if main_class == _BROKER else ()


def _version() -> str:
    found = re.search(
        r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)</version>", _POM.read_text(encoding="utf-8")
    )
    assert found is not None, "the project file names the broker"
    return found[1]


def _java() -> Path | None:
    """Return a Java that is new enough, the one of JAVA_HOME first."""
    java = programs.find("java", folders=[Path(home) / "bin"] if (home := os.environ.get("JAVA_HOME")) else [])
    if java is None:
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    return java if version is not None and int(version[1]) >= _OLDEST_JAVA else None
