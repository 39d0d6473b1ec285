"""One Kafka node that is broker and controller (KRaft), from the jars of Maven Central."""

import re
import shutil
import struct
from pathlib import Path

from realservices.process import LOOPBACK, ServicesError, Started, exchange, free_ports, launch, need, run, say

POM = Path(__file__).parent.parent / "kafka" / "pom.xml"
OLDEST_JAVA = 17

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""

_LOGGING = """\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""


def start(*, jars: Path, data: Path, log: Path, heap: str) -> Started:
    java = need("java")
    version = re.search(r'version "(\d+)', run([java, "-version"]))
    if version is None or int(version[1]) < OLDEST_JAVA:
        found = version[1] if version else "of an unknown version"
        raise ServicesError(f"Kafka 4 needs Java {OLDEST_JAVA} or newer, {java} is {found}")
    fetch_jars(jars)
    port, controller = free_ports(2)
    properties, logging = data / "server.properties", data / "log4j2.properties"
    properties.write_text(_PROPERTIES.format(host=LOOPBACK, port=port, controller=controller, data=data))
    logging.write_text(_LOGGING)
    tool = [java, "-Xmx128m", "-cp", f"{jars}/*", "kafka.tools.StorageTool"]
    identity = run([*tool, "random-uuid"]).split()[-1]
    run([*tool, "format", "--cluster-id", identity, "--config", str(properties)])
    return start_again(jars=jars, data=data, log=log, heap=heap, port=port)


def start_again(*, jars: Path, data: Path, log: Path, heap: str, port: int) -> Started:
    """Start the node whose folder `start` has prepared, on the port it had."""
    properties, logging = data / "server.properties", data / "log4j2.properties"
    broker = [need("java"), f"-Xmx{heap}", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*", "kafka.Kafka"]
    return Started(
        process=launch("kafka", [*broker, str(properties)], log=log),
        environment={"SPENDWATCH_TEST_KAFKA": f"{LOOPBACK}:{port}"},
        answers=lambda: _answers(port),
    )


def fetch_jars(folder: Path) -> None:
    """Copy them once; the mark is written last, so that a broken download is begun again."""
    mark = folder / "complete"
    wanted = POM.read_text()
    if mark.exists() and mark.read_text() == wanted:
        return
    say("fetching Kafka's jars from Maven Central (53 MB, once)")
    shutil.rmtree(folder, ignore_errors=True)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    run([need("mvn"), "--batch-mode", "--quiet", "--file", str(POM), *goal])
    mark.write_text(wanted)


def _answers(port: int) -> bool:
    """ApiVersions (key 18, version 0), the first request of every Kafka client, with correlation id 1."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    answer = exchange(port, struct.pack(">i", len(request)) + request)
    return answer[4:10] == b"\x00\x00\x00\x01\x00\x00"
