"""Cost models, their files, and what they make of a run."""

import dataclasses
import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async import cost
from lava_async.errors import FileFormatError, ValidationError
from random_networks import graphs, inputs, schedules
from records import make_record

OWN = cost.CostModel(
    "own", "measured here",
    cost.PerEvent(synaptic_operation=10, active_update=7, inactive_update=5, spike=3,
                  forward_step=2, time_step=1),
    cost.PerEvent(synaptic_operation=1, time_step=100),
)  # fmt: skip


@pytest.fixture
def record():
    """Two samples, two time steps, 5 neurons: 6 and 1 spikes, 15 and 3 synaptic operations."""
    return make_record(
        [[[-1, -1], [-1, 0], [3, 2]], [[-1, -1], [-1, -1], [-1, -1]]],
        [[4, 3], [2, 2]],
        hidden=[[[1, 1], [0, 1]], [[1, 0], [0, 0]]],
        synops=[[10, 5], [3, 0]],
    )


class TestEstimate:
    def test_events(self, record):
        assert {k: v.tolist() for k, v in cost.count_events(record).items()} == {
            "synaptic_operation": [15, 3],
            "active_update": [6, 1],
            "inactive_update": [4, 9],
            "spike": [6, 1],
            "forward_step": [7, 4],
            "time_step": [2, 2],
        }

    def test_by_hand(self, record):
        found = cost.estimate(record, OWN)
        assert found.spikes.tolist() == [6, 1] and found.synops.tolist() == [15, 3]
        assert found.energy_j.tolist() == [
            (150 + 42 + 20 + 18 + 14 + 2) / 1e12, (30 + 7 + 45 + 3 + 8 + 2) / 1e12,
        ]  # fmt: skip
        assert found.latency_s.tolist() == [215 / 1e9, 203 / 1e9]
        assert found.model is OWN

    def test_loihi_by_hand(self, record):
        found = cost.estimate(record, cost.LOIHI)
        energy = [15 * 23.6 + 6 * 81 + 4 * 52 + 6 * 1.7, 3 * 23.6 + 81 + 9 * 52 + 1.7]
        latency = [15 * 3.5 + 6 * 8.4 + 4 * 5.3 + 6 * 2.1 + 2 * 113,
                   3 * 3.5 + 8.4 + 9 * 5.3 + 2.1 + 2 * 113]  # fmt: skip
        assert found.energy_j == pytest.approx(np.array(energy) * 1e-12, rel=1e-14)
        assert found.latency_s == pytest.approx(np.array(latency) * 1e-9, rel=1e-14)

    def test_a_model_without_time(self, record):
        found = cost.estimate(record, cost.ADDITIONS_45NM)
        assert found.energy_j == pytest.approx([13.5e-12, 2.7e-12]) and found.latency_s is None
        assert found.to_dict()["estimated_latency_s_per_sample"] is None

    def test_text_has_the_counts_first_and_says_what_the_rest_is(self, record):
        assert str(cost.estimate(record, OWN)) == (
            "3.5 spikes and 9.0 synaptic operations a sample. Estimate by the cost model own: "
            "170 pJ and 209 ns a sample; no time of: active update, inactive update, spike, "
            "forward step. Source: measured here"
        )
        text = str(cost.estimate(record, cost.ADDITIONS_45NM))
        assert "8.1 pJ a sample; no energy of: active update" in text
        assert "; no time at all. Source: Horowitz" in text

    @pytest.mark.parametrize(
        ("picojoules", "text"),
        [
            (0, "0 J"), (1, "15 pJ"), (1e-3, "15 fJ"), (66.6, "999 pJ"), (66.65, "1 nJ"),
            (1e6, "15 µJ"), (1e12, "15 J"), (1e15, "15 kJ"), (1e-9, "1.5e-05 fJ"),
            (1e22, "150 GJ"), (1e25, "1.5e+05 GJ"),
        ],
    )  # fmt: skip
    def test_prefixes(self, record, picojoules, text):
        model = cost.CostModel("m", "s", cost.PerEvent(synaptic_operation=picojoules))
        one = dataclasses.replace(cost.estimate(record, model))
        one = dataclasses.replace(one, energy_j=one.energy_j[:1])
        assert f"model m: {text} a sample" in str(one)

    def test_plain_data(self, record):
        data = cost.estimate(record, OWN).to_dict()
        assert list(data)[:2] == ["spikes_per_sample", "synops_per_sample"]
        assert data == {
            "spikes_per_sample": 3.5,
            "synops_per_sample": 9.0,
            "estimated_energy_j_per_sample": pytest.approx(170.5e-12),
            "estimated_latency_s_per_sample": pytest.approx(209e-9),
            "cost_model": "own",
            "cost_source": "measured here",
        }
        assert json.loads(json.dumps(data, allow_nan=False)) == data

    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(st.data())
    def test_random_networks_event_by_event(self, data):
        graph = data.draw(graphs(max_populations=3))
        x = data.draw(inputs(graph))
        record = la.simulate(graph, x, data.draw(schedules()), backend="reference")
        # Whole numbers, so that sums are exact in any order.
        values = data.draw(
            st.lists(st.none() | st.integers(0, 500), min_size=6, max_size=6).filter(
                lambda values: any(v is not None for v in values)
            )
        )
        model = cost.CostModel("drawn", "here", cost.PerEvent(*values), cost.PerEvent(*values))
        synop, active, inactive, spike, forward, step = (v or 0 for v in values)
        found = cost.estimate(record, model)
        for b in range(len(x)):
            total = 0
            for t in range(x.shape[-1]):
                total += step + synop * int(record.synops[b, t])
                total += forward * int(record.forward_steps[b, t])
                for n in range(graph.num_neurons):
                    total += active + spike if record.all_spikes[b, n, t] else inactive
            assert found.energy_j[b] == total / 1e12 and found.latency_s[b] == total / 1e9

    @pytest.mark.parametrize("model", [None, "loihi", {"name": "loihi"}, cost.PerEvent(1)])
    def test_what_is_no_model(self, record, model):
        with pytest.raises(ValidationError, match=r"estimate: model: expected a CostModel"):
            cost.estimate(record, model)

    def test_what_is_no_record(self, record):
        for bad in (None, record.all_spikes, dataclasses.replace(record, synops=record.synops[0])):
            with pytest.raises(ValidationError, match="record: "):
                cost.estimate(bad, OWN)


class TestModels:
    def test_published_ones_have_names_and_sources(self):
        assert cost.MODELS == {"loihi": cost.LOIHI, "additions-45nm": cost.ADDITIONS_45NM}
        for name, model in cost.MODELS.items():
            assert model.name == name and cost.load(name) is model
            assert any(year in model.source for year in ("2014", "2018"))
            assert "Table" in model.source or "Figure" in model.source

    def test_frozen_and_as_good_as_their_values(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            OWN.name = "other"
        copy = pickle.loads(pickle.dumps(OWN))
        assert copy == OWN and hash(copy) == hash(OWN)
        assert cost.CostModel.from_dict(json.loads(json.dumps(OWN.to_dict()))) == OWN

    def test_some_constants_are_replaced(self, record):
        mine = dataclasses.replace(
            cost.LOIHI, name="mine", source="Table 2, but all updates active",
            energy_pj=dataclasses.replace(cost.LOIHI.energy_pj, inactive_update=81.0),
        )  # fmt: skip
        more = cost.estimate(record, mine).energy_j - cost.estimate(record, cost.LOIHI).energy_j
        assert more == pytest.approx([4 * 29e-12, 9 * 29e-12])

    @pytest.mark.parametrize("value", [-1, np.nan, np.inf, -np.inf, 10**400, "1", True, [1]])
    @pytest.mark.parametrize("event", [field.name for field in dataclasses.fields(cost.PerEvent)])
    def test_constants_that_are_none(self, event, value):
        text = f"cost of an event: {event}: expected None or a finite number >= 0"
        with pytest.raises(ValidationError, match=text):
            cost.PerEvent(**{event: value})

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (("", "s", cost.PerEvent(1)), r"name: expected a text that is not empty \(got ''\)"),
            ((None, "s", cost.PerEvent(1)), "name: "),
            (("m", "", cost.PerEvent(1)), "source: expected a text that is not empty"),
            (("m", "  ", cost.PerEvent(1)), "source: "),
            (("m", None, cost.PerEvent(1)), "source: "),
            (("m", "s"), "cost model m: constants: expected at least one"),
            (("m", "s", {"spike": 1}), "cost model m: energy_pj: expected a PerEvent"),
            (("m", "s", cost.PerEvent(1), 3.5), "cost model m: time_ns: expected a PerEvent"),
        ],
    )
    def test_models_that_are_none(self, arguments, text):
        with pytest.raises(ValidationError, match=text):
            cost.CostModel(*arguments)


class TestFiles:
    def test_the_example_of_the_docstring(self, tmp_path):
        text = cost.load.__doc__
        example = text[text.index("{") : text.rindex("}") + 1]
        (tmp_path / "chip.json").write_text(example)
        assert cost.load(tmp_path / "chip.json") == cost.CostModel(
            "my chip", "measured on board 3, 2026-05-01",
            cost.PerEvent(synaptic_operation=8.1, active_update=40),
            cost.PerEvent(synaptic_operation=2, time_step=1000),
        )  # fmt: skip

    @pytest.mark.parametrize("model", [OWN, *cost.MODELS.values()], ids=lambda m: m.name)
    def test_what_was_written(self, tmp_path, model):
        path = tmp_path / "model.json"
        path.write_text(json.dumps(model.to_dict()))
        for name in (path, str(path), os.fsencode(path)):
            assert cost.load(name) == model

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"", "cost model: expected JSON"),
            (b"{", "cost model: expected JSON"),
            (b"\xff\xfe\xfd", "cost model: expected JSON"),
            (b"[" * 60000, "cost model: expected JSON"),
            (b" " * 70000, r"bytes: expected at most 65536 \(got 70000\)"),
            (b"[]", r"fields: expected an object with some of name.* \(got list\)"),
            (b"3", r"fields: .*\(got int\)"),
            ({"name": None}, "name: expected a text"),
            ({"source": None}, "source: expected a text"),
            ({"source": " "}, "source: expected a text"),
            ({"source": 2018}, r"source: expected a text that is not empty \(got 2018\)"),
            ({"energy": {}}, r"fields: expected .* \(got 'energy'\)"),
            ({"energy_pj": 23.6}, r"energy_pj: expected an object .*\(got float\)"),
            ({"energy_pj": {"synop": 1}}, r"energy_pj: .*synaptic_operation.*\(got 'synop'\)"),
            ({"energy_pj": {"spike": -1}}, r"energy_pj: spike: expected .*>= 0 \(got -1\)"),
            ({"time_ns": {"spike": "1"}}, r"time_ns: spike: expected .*\(got '1'\)"),
            ({"time_ns": {"spike": float("nan")}}, r"time_ns: spike: .*\(got nan\)"),
            ({"time_ns": {"spike": float("inf")}}, r"time_ns: spike: .*\(got inf\)"),
            ({"time_ns": {"spike": 10**400}}, r"time_ns: spike: "),
            ({"time_ns": {"spike": True}}, r"time_ns: spike: .*\(got True\)"),
            ({"energy_pj": {}, "time_ns": {}}, "constants: expected at least one"),
            ({"energy_pj": {"spike": None}, "time_ns": {}}, "constants: expected at least one"),
        ],
    )
    def test_files_that_are_none(self, tmp_path, content, text):
        """`None` takes a field away."""
        if isinstance(content, dict):
            changed = OWN.to_dict() | content
            kept = {k: v for k, v in changed.items() if v is not None}
            content = json.dumps(kept).encode()
        path = tmp_path / "model.json"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=f"^{path}: {text}"):
            cost.load(path)

    def test_what_is_no_file(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
        for path in (tmp_path, tmp_path / "pipe", tmp_path / "gone"):
            with pytest.raises(FileFormatError, match="something else at this place"):
                cost.load(path)
        for name in ("Loihi", tmp_path / "model.json", ""):
            wanted = r"expected one of loihi, additions-45nm, or a JSON file \(got no such file\)"
            with pytest.raises(FileFormatError, match=wanted):
                cost.load(name)
        for what in (None, 3, cost.LOIHI):
            with pytest.raises(ValidationError, match="file: path: expected a path"):
                cost.load(what)
        with pytest.raises(FileFormatError, match="no such file"):
            cost.load("model\0.json")
