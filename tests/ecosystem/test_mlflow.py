"""``--track mlflow`` where its store cannot be had; ``make ecosystem`` installs MLflow."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emosim_core import ConfigurationError, TrainConfig

mlflow = pytest.importorskip("mlflow")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_a_store_that_fails_ends_the_tracking_with_a_warning(tmp_path: Path) -> None:
    from emosim_core.training.trackers import trackers

    (writer,) = trackers(TrainConfig(plugin="movies", track=("mlflow",)), tmp_path)
    writer.write({"rollout/reward": 1.5, "name": "no number"}, {}, 10)
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as store:
        assert store.execute("SELECT key, value, step FROM metrics").fetchall() == [("rollout/reward", 1.5, 10)]
        store.execute("DROP TABLE latest_metrics")
        store.execute("DROP TABLE metrics")
    with pytest.warns(UserWarning, match="MLflow gets no more of the curves, which are in progress.jsonl"):
        writer.write({"rollout/reward": 2.5}, {}, 20)
    writer.write({"rollout/reward": 3.5}, {}, 30)
    writer.close()


def test_a_server_that_does_not_answer_is_an_error_that_says_how_to_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emosim_core.training.trackers import trackers

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_URI names its server or its store; without it"):
        trackers(TrainConfig(plugin="movies", track=("mlflow",)), tmp_path)
