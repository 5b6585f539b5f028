"""Learning rates step by step, and what the optimiser does with the weights."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, RMSprop

from lightning_modules.problems import InvalidChoice
from lightning_modules.recipes import Recipe, build_optimizer, build_scheduler, modern, quick
from lightning_modules.schedules import Constant, Cosine, Milestones, OneCycle, Plateau, Step
from tests.refusals import refused


def recipe(schedule, **changes):
    plain = Recipe("here", 0.4, 0.0, batch_size=1, epochs=1, schedule=schedule, augmentation="none")
    return replace(plain, **changes)


def learning_rates(recipe, total_steps, steps_per_epoch):
    optimizer = build_optimizer(recipe, nn.Linear(2, 2))
    scheduler, interval, monitor = build_scheduler(recipe, optimizer, total_steps, steps_per_epoch)
    assert (interval, monitor) == ("step", None)
    found = []
    for _ in range(total_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def half_cosine(share):
    return 0.5 * (1 + math.cos(math.pi * share))


def test_constant():
    assert learning_rates(recipe(Constant()), 7, 2) == [0.4] * 7


def test_step():
    schedule = Step(every_epochs=2, multiplier=0.5)
    expected = [0.4] * 6 + [0.2] * 6 + [0.1] * 6 + [0.05] * 2
    assert learning_rates(recipe(schedule), 20, 3) == pytest.approx(expected)


@pytest.mark.parametrize("steps_per_epoch", [1, 3, 7, 10, 49, 113])
def test_steps_fall_on_the_first_step_of_an_epoch(steps_per_epoch):
    rates = learning_rates(
        recipe(Step(every_epochs=3, multiplier=0.1)), 12 * steps_per_epoch, steps_per_epoch
    )
    expected = [0.4 * 0.1**period for period in range(4) for _ in range(3 * steps_per_epoch)]
    assert rates == pytest.approx(expected)


def test_milestones():
    """He 2015, section 4.2: a tenth from half of the training on, a hundredth from three quarters on."""
    rates = learning_rates(recipe(Milestones(at=(0.5, 0.75), multiplier=0.1)), 64, 3)
    assert rates == pytest.approx([0.4] * 32 + [0.04] * 16 + [0.004] * 16)


def test_cosine():
    rates = learning_rates(recipe(Cosine()), 10, 5)
    assert rates == pytest.approx([0.4 * half_cosine(step / 10) for step in range(10)])
    assert rates[0] == 0.4 and rates[5] == pytest.approx(0.2) and rates[-1] == pytest.approx(0.0097887)


def test_one_cycle():
    rates = learning_rates(recipe(OneCycle(rise=0.3, start=0.04)), 20, 5)
    rising = [0.4 * (0.04 + 0.96 * (1 - half_cosine(step / 6))) for step in range(6)]
    falling = [0.4 * half_cosine((step - 6) / 14) for step in range(6, 20)]
    assert rates == pytest.approx(rising + falling)
    assert rates[0] == pytest.approx(0.016) and rates[3] == pytest.approx(0.208) and rates[6] == 0.4
    assert rates.index(max(rates)) == 6 and rates[-1] < 0.01


def test_warm_up_counts_in_full_epochs():
    rates = learning_rates(recipe(Constant(), warmup_epochs=2), 100, 2)
    assert rates[:6] == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4, 0.4])
    assert rates[4:] == [0.4] * 96


def test_warm_up_takes_a_tenth_at_most():
    rates = learning_rates(recipe(Cosine(), warmup_epochs=5), 20, 4)
    assert rates[:2] == pytest.approx([0.4 / 3, 0.8 / 3])
    assert rates[2:] == pytest.approx([0.4 * half_cosine(step / 18) for step in range(18)])
    assert learning_rates(recipe(Cosine(), warmup_epochs=5), 5, 5)[0] == 0.4


def test_warm_up_at_a_constant_rate():
    """As ResNet-110 starts on CIFAR-10."""
    rates = learning_rates(recipe(Constant(), warmup_epochs=1, warmup_factor=0.1), 100, 4)
    assert rates == pytest.approx([0.04] * 4 + [0.4] * 96)


def test_the_modern_recipe_from_start_to_end():
    rates = learning_rates(modern(0.1), 1000, 10)
    assert rates[:50] == pytest.approx([0.1 * (step + 1) / 51 for step in range(50)])
    assert rates[50:] == pytest.approx([0.1 * half_cosine(step / 950) for step in range(950)])


def test_a_recipe_ends_with_its_last_step(architecture):
    """Whatever the recipe, no factor is negative or above one, and training beyond the end is no error."""
    for one in architecture.recipes.values():
        if not isinstance(one.schedule, Plateau):
            rates = learning_rates(one, one.epochs * 2, 2)
            assert all(0 <= rate <= one.learning_rate for rate in rates)
            assert 0 <= one.schedule.factor(1.5, 2 * one.epochs) <= 1


def plateau(reductions=2):
    optimizer = build_optimizer(
        recipe(Plateau(0.1, patience_epochs=2, reductions=reductions)), nn.Linear(2, 2)
    )
    scheduler, interval, monitor = build_scheduler(
        recipe(Plateau(0.1, patience_epochs=2, reductions=reductions)), optimizer, 100, 10
    )
    assert (interval, monitor) == ("epoch", "val/error_top1")
    return optimizer, scheduler


def after(errors, optimizer, scheduler):
    found = []
    for error in errors:
        scheduler.step(error)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_plateau_waits_and_then_falls():
    rates = after([50, 50, 50, 50, 50, 40, 41, 41, 41], *plateau())
    assert rates == pytest.approx([0.4] * 3 + [0.04] * 5 + [0.004])


def test_plateau_never_falls_while_the_error_does():
    assert after(range(90, 10, -1), *plateau()) == [0.4] * 80


@pytest.mark.parametrize("reductions", [0, 1, 2, 3])
def test_plateau_falls_so_often_at_most(reductions):
    rates = after([50] * 40, *plateau(reductions))
    assert len(set(rates)) == reductions + 1
    assert rates[-1] == pytest.approx(0.4 * 0.1**reductions)


def test_the_three_reductions_of_a_paper(architecture):
    one = architecture.get_recipe("paper")
    if not isinstance(one.schedule, Plateau):
        pytest.skip("another schedule")
    optimizer = build_optimizer(one, nn.Linear(2, 2))
    scheduler, _, _ = build_scheduler(one, optimizer, 1000, 10)
    rates = after([50] * one.epochs, optimizer, scheduler)
    expected = [one.learning_rate * 0.1**number for number in range(4)]
    assert sorted(set(rates), reverse=True) == pytest.approx(expected)


def test_what_cannot_be_meant():
    for rate in (0.0, -1.0, float("nan")):
        with refused(InvalidChoice.LEARNING_RATE):
            recipe(Constant(), learning_rate=rate)
    with pytest.raises(ValueError):
        recipe(Plateau(), warmup_epochs=1)


def test_everything_decays_in_one_group(network):
    optimizer = build_optimizer(recipe(Constant(), weight_decay=5e-4), network)
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == 5e-4
    assert {id(p) for p in group["params"]} == {id(p) for p in network.parameters()}


def test_biases_and_norms_do_not_decay(network):
    optimizer = build_optimizer(modern(0.1), network)
    weights, others = optimizer.param_groups
    assert (weights["weight_decay"], others["weight_decay"]) == (1e-4, 0.0)
    matrices = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert {id(p) for p in weights["params"]} == {id(p) for p in matrices}
    assert len(weights["params"]) + len(others["params"]) == len(list(network.parameters()))


def test_frozen_weights_stay_out():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad = False
    assert build_optimizer(recipe(Constant()), layer).param_groups[0]["params"] == [layer.weight]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_one_kernel_where_the_device_has_it(name):
    on_cpu = build_optimizer(recipe(Constant(), optimizer=name), nn.Linear(2, 2))
    assert isinstance(on_cpu, SGD if name == "sgd" else AdamW) and on_cpu.defaults["fused"] is True
    elsewhere = build_optimizer(recipe(Constant(), optimizer=name), nn.Linear(2, 2, device="meta"))
    assert elsewhere.defaults["fused"] is False
    clipped = build_optimizer(recipe(Constant(), optimizer=name), nn.Linear(2, 2), fused=False)
    assert clipped.defaults["fused"] is False


@pytest.mark.parametrize("nesterov", [False, True])
def test_two_steps_by_hand(nesterov):
    layer = nn.Linear(3, 1, bias=False)
    one = recipe(Constant(), learning_rate=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov)
    optimizer = build_optimizer(one, layer)
    weight, velocity = layer.weight.detach().clone(), torch.zeros(1, 3)
    for _ in range(2):
        gradient = torch.randn(1, 3)
        layer.weight.grad = gradient.clone()
        optimizer.step()
        slope = gradient + 0.01 * weight
        velocity = 0.9 * velocity + slope
        weight = weight - 0.1 * (slope + 0.9 * velocity if nesterov else velocity)
    torch.testing.assert_close(layer.weight.detach(), weight)


def test_rmsprop_by_hand():
    layer = nn.Linear(3, 1, bias=False)
    one = recipe(Constant(), optimizer="rmsprop", learning_rate=0.1, weight_decay=0.01, rms_decay=0.8)
    optimizer = build_optimizer(one, layer)
    assert isinstance(optimizer, RMSprop)
    weight, square, velocity = layer.weight.detach().clone(), torch.zeros(1, 3), torch.zeros(1, 3)
    for _ in range(3):
        gradient = torch.randn(1, 3)
        layer.weight.grad = gradient.clone()
        optimizer.step()
        slope = gradient + 0.01 * weight
        square = 0.8 * square + 0.2 * slope**2
        velocity = 0.9 * velocity + slope / (square.sqrt() + 1.0)
        weight = weight - 0.1 * velocity
    torch.testing.assert_close(layer.weight.detach(), weight)


def test_the_two_recipes_of_ours():
    assert isinstance(quick(0.1, epochs=3).schedule, OneCycle) and quick(0.1, epochs=3).epochs == 3
    assert isinstance(modern(0.1).schedule, Cosine) and modern(0.1).label_smoothing == 0.1
