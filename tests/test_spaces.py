"""What a search may vary: by rule, by a backbone's word, by a file; and what it may not."""

from __future__ import annotations

import pytest

import backbones
import cli
import tasks
from backbones import ForecastSpec, ModelSpec, TargetSpec
from backbones.model import build_model
from errors import UsageError
from studies.spaces import Dimension, space_of, words


def configured(text: str = "", task: str = "forecast", backbone: str = "dlinear"):
    return cli.parse(
        ["--mode", "train", *f"--task {task} --demo --context-len 96 --backbone {backbone} {text}".split()]
    )


def mistakes(put, text: str, **more) -> str:
    with pytest.raises(UsageError) as caught:
        space_of(configured(**more), False, str(put(text, "space.yaml")))
    return str(caught.value)


def test_the_rule_goes_around_the_defaults():
    space = space_of(configured("--batch-size 64 --lr 0.002", backbone="gru"), False)
    assert "batch_size" not in space and "lr" not in space  # the command line has settled them
    assert space["model_args.hidden"].choices == (32, 64, 128)
    assert space["model_args.layers"].choices == (1, 2, 3)
    assert space["model_args.dropout"] == Dimension("model_args.dropout", (), 0.0, 0.5)
    assert space["model_args.bidirectional"].choices == (False, True)
    decay = space["weight_decay"]
    assert decay.log and decay.low == pytest.approx(1e-3) and decay.high == pytest.approx(0.1)
    assert "seed" not in space and "epochs" not in space
    assert space_of(configured(task="regress"), False)["loss"].choices == ("huber", "l1", "mse")


def test_a_tasks_own_training_flags_are_searched():
    space = space_of(configured(task="classify", backbone="gru"), False)
    assert space["alpha"] == Dimension("alpha", (), 0.0, 1.0) and "loss" not in space
    assert "bin_thr" not in space  # it would change what is judged


def test_a_closed_form_has_no_training_to_search():
    assert set(space_of(configured(backbone="ridge"), True)) == {"model_args.norm"}
    with pytest.raises(UsageError, match="nothing to search for ridge_ensemble"):
        space_of(configured(backbone="ridge_ensemble"), True)


def test_the_informers_space():
    """The one that was asked for, in full."""
    space = space_of(configured(backbone="informer"), False)
    assert {name: d.choices for name, d in space.items() if d.choices} == {
        "model_args.d_model": (256, 512, 768),
        "model_args.n_heads": (4, 8, 16),
        "model_args.e_layers": (2, 3, 4),
        "model_args.d_layers": (1, 2),
        "model_args.d_ff": (512, 1024, 2048),
        "model_args.factor": (3, 4, 5),
        "optimizer": ("adam", "adamw", "sgd"),
        "batch_size": (16, 32, 64),
        "epochs": (20, 30, 50),
        "patience": (5, 10),
        "loss": ("mse", "l1", "huber"),
        "scheduler": ("cosine", "StepLR", "plateau"),
        "scheduler_args.step_size": (5, 10),
        "scheduler_args.gamma": (0.1, 0.5),
    }
    ranges = {name: (d.low, d.high, d.log) for name, d in space.items() if not d.choices}
    assert ranges == {
        "model_args.dropout": (0.1, 0.3, False),
        "lr": (1e-5, 1e-3, True),
        "weight_decay": (0.0, 0.01, False),
    }
    assert list(space)[-2:] == ["scheduler_args.step_size", "scheduler_args.gamma"]  # asked after what they hang on
    assert "loss" not in space_of(configured(task="classify", backbone="informer"), False)


OTHERWISE = (
    "auto",
    "chronos2",
    "ensemble",
    "mantis",
    "ridge_ensemble",
)  # with nothing to search, or not built from sizes alone


@pytest.mark.parametrize("name", [n for n in backbones.names() if n not in OTHERWISE])
def test_the_ends_of_a_default_space_are_models_that_can_be_built(name):
    """Widths and heads, patches and strides, kernels: every smallest with every largest."""
    space = space_of(configured(backbone=name), False)
    own = [d for d in space.values() if d.name.startswith("model_args.")]
    ends = [(d.choices[0], d.choices[-1]) if d.choices else (d.low, d.high) for d in own]
    for turn in range(4):  # all low, all high, and the two that alternate
        picked = [pair[(turn >> (at % 2)) & 1] for at, pair in enumerate(ends)]
        args = {d.name.removeprefix("model_args."): value for d, value in zip(own, picked, strict=True)}
        sizes = {"channels": 2, "length": 96, "outputs": 2, "args": args}
        if "forecast" in backbones.backbone_class(name).heads:
            build_model(ModelSpec(backbone=name, forecast=ForecastSpec(4, (0, 1)), head="forecast", horizon=4, **sizes))
        else:
            build_model(ModelSpec(backbone=name, target=TargetSpec("label", 2), head="pool", horizon=1, **sizes))


def test_a_file_overrides_settles_and_narrows(put):
    path = put("model_args.kernel: [9, 25]\nlr: {low: 1e-5, high: 1e-3, log: true}\nbatch-size: 32\n", "space.yaml")
    space = space_of(configured(), False, str(path))
    assert space["model_args.kernel"].choices == (9, 25)
    assert space["lr"] == Dimension("lr", (), 1e-5, 1e-3, True)
    assert space["batch_size"].choices == (32,)
    assert "weight_decay" in space
    put("only: true\nepochs: {low: 2, high: 9}\n", "space.yaml")
    space = space_of(configured(), False, str(path))
    assert list(space) == ["epochs"] and space["epochs"].whole


def test_arguments_of_optimizers_hang_on_the_optimizer(put):
    text = "only: true\noptimizer_args.momentum: {low: 0.5, high: 0.99, when: {optimizer: [SGD, RMSprop]}}\n"
    space = space_of(configured(), False, str(put(text + "optimizer: [SGD, AdamW]\n", "space.yaml")))
    assert list(space) == ["optimizer", "optimizer_args.momentum"]
    assert space["optimizer_args.momentum"].asked({"optimizer": "SGD"})
    assert not space["optimizer_args.momentum"].asked({"optimizer": "AdamW"})
    assert "optimizer is not searched" in mistakes(put, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: [1, 2]", "luckier seed"),
        ("eval_split: [val, test]", "trials may only differ in training"),
        ("horizon: [24, 48]", "trials may only differ in training"),
        ("val_ratio: [0.1]", "trials may only differ in training"),
        ("csv: [a.csv]", "trials may only differ in training"),
        ("context_len: [48]", "trials may only differ in training"),
        ("model_args.kernl: [9]", "did you mean model_args.kernel?"),
        ("weight-decya: [0.1]", "did you mean weight_decay?"),
        ("model_args: [9]", "argument by argument"),
        ("model_args.kernel: [9, big]", "takes a whole number, got 'big'"),
        ("lr: {low: -1, high: 1}", "must be above 0"),
        ("lr: {low: 1e-3, high: 1e-4}", "low must be below high"),
        ("weight_decay: {low: 0, high: 1, log: true}", "above 0 with log"),
        ("loss: {low: 0, high: 1}", "it takes choices"),
        ("lr: {lwo: 0, high: 1}", "got lwo"),
        ("lr: {choices: [1], low: 1}", "takes choices, or low and high"),
        ("lr: {log: true}", "takes low and high, both"),
        ("lr: {low: 0.1, high: null}", "takes a value, got null"),
        ("lr: [0.1]\nlr: [0.2]", "the key 'lr' is there twice"),
        ("lr: []", "a list of single values"),
        ("lr: {choices: [[1]]}", "a list of single values"),
        ("only: perhaps", "takes true or false"),
        ("- lr", "a mapping of flags"),
        ("lr: [1", "not plain YAML"),
        ("", "a mapping of flags"),
        ("only: true", "nothing to search"),
    ],
)
def test_what_a_file_may_not_say(put, text, said):
    assert said in mistakes(put, text)


def test_all_mistakes_of_a_file_come_at_once(put):
    text = mistakes(put, "seed: [1]\nlrr: [1]\nloss: [msee]\n", task="regress")
    assert "3 problems" in text and "did you mean lr?" in text and "did you mean mse?" in text


def test_a_missing_file_is_told():
    with pytest.raises(UsageError, match="cannot read the space"):
        space_of(configured(), False, "/no/such.yaml")


def test_values_become_a_command_line_again():
    config = configured("--model-args norm=true kernel=9 --optimizer AdamW")
    chosen = {"model_args.kernel": 25, "lr": 0.00031622776601683794, "amp": False, "optimizer_args.eps": 1e-7}
    line = ["--mode", "train", *"--task forecast --demo --context-len 96 --backbone dlinear".split()]
    again = cli.parse([*line, "--model-args", "norm=true", "--optimizer", "AdamW", *words(chosen, config)])
    assert again.model_args == {"norm": True, "kernel": 25} and again.lr == chosen["lr"]
    assert again.optimizer_args == {"eps": 1e-7} and again.amp is False


def test_every_task_and_backbone_has_a_space_or_says_that_it_has_none():
    for task in tasks.names():
        for name in backbones.names():
            try:
                space = space_of(configured(task=task, backbone=name), False)
            except UsageError as error:
                assert "nothing to search" in str(error)
                continue
            assert all(d.choices or d.low < d.high for d in space.values())


def test_a_file_means_what_it_says_whatever_yaml_1_1_would_make_of_it(put):
    """Without a flag that has a type, a value is what it spells: an optimizer asks `if nesterov`, and "no" is true."""
    text = "optimizer_args.nesterov: [no, yes]\noptimizer_args.momentum: {low: 0.5, high: 0.9}\nbatch_size: [010, 32]\n"
    space = space_of(configured(), False, str(put(text, "space.yaml")))
    assert space["optimizer_args.nesterov"].choices == (False, True)
    assert (space["optimizer_args.momentum"].low, space["optimizer_args.momentum"].high) == (0.5, 0.9)
    assert space["batch_size"].choices == (10, 32)
