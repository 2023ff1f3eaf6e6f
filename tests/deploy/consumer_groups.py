"""The consumer group of every module that reads topics, by the name of its deployment."""

from de_platform.modules.algos.algos_step import AlgosStep
from de_platform.modules.archive.step import ArchiveStep
from de_platform.modules.kafka_starter.main import GROUP
from de_platform.modules.normalizer.normalizer_step import NormalizerStep
from de_platform.modules.persistence.step import PersistenceStep
from de_platform.pipeline.ids import digest

GROUPS = {
    "normalizer": NormalizerStep.group,
    "persistence": PersistenceStep.group,
    "algos": AlgosStep.group,
    "archive": ArchiveStep.group,
    "kafka-starter": GROUP,
    "stream-ingest": f"stream_ingest-{digest('ingestion_audit', 'data_lake')[:16]}",
}
