# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every plan of an odd fleet, looked at without the counters that it is made with."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import plan_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    APART,
    DRAINING,
    IN,
    NEVER,
    FleetHost,
    FleetOptions,
    FleetRequest,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import MOVE, PLACE, STUCK, FleetPlan
from ansible_collections.numa.virt.plugins.module_utils._fleet.where import Where
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import carried_out, replay
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.odd_fleets import odd_fleet, odd_fleet_request
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

EXAMPLES = settings(max_examples=examples(80))


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[FleetHost, ...], list[FleetRequest], FleetOptions]:
    hosts = draw(odd_fleet())
    requests = [draw(odd_fleet_request(f"n{at}", hosts)) for at in range(draw(st.integers(0, 4)))]
    for host in hosts:
        for each in host.existing:
            if draw(st.booleans()):
                wish = draw(odd_fleet_request(each.name, hosts))
                keep = draw(st.booleans())
                requests.append(
                    FleetRequest(each.wish, wish.hosts, wish.labels, wish.groups, None, wish.how) if keep else wish
                )
    options = FleetOptions(
        max_moves=draw(st.sampled_from((None, None, 1))),
        at_once_host=draw(st.sampled_from((None, 1))),
        at_once_fleet=draw(st.sampled_from((None, 2))),
    )
    return hosts, requests, options


def verify(hosts: tuple[FleetHost, ...], requests: list[FleetRequest], made: FleetPlan, options: FleetOptions) -> None:
    state = {each.name: each.state if each.answered and each.host else "unknown" for each in hosts}
    asked = {each.name: each for each in requests}
    drained = {each.name for host in hosts if state[host.name] == DRAINING for each in host.existing}
    done = [each.name for each in made.placements if each.action != STUCK]
    assert sorted([*done, *(each.name for each in made.rejections)]) == sorted({*asked, *drained})
    for each in made.placements:
        if each.action in (MOVE, PLACE):
            assert state[each.host] == IN
        if each.action == MOVE:
            assert state[each.at] in (IN, DRAINING)
            assert each.name not in asked or asked[each.name].how != NEVER
    assert options.max_moves is None or len(made.moves) <= options.max_moves
    for batch in made.batches:
        ends = [end for step in batch if step.moves for end in (step.source, step.host)]
        assert options.at_once_host is None or all(ends.count(end) <= options.at_once_host for end in ends)
        assert options.at_once_fleet is None or len(ends) // 2 <= options.at_once_fleet
    verify_where(hosts, asked, made)


def verify_where(hosts: tuple[FleetHost, ...], asked: dict[str, FleetRequest], made: FleetPlan) -> None:
    where = Where(hosts)
    number = {each.name: at for at, each in enumerate(hosts)}
    got = [each for each in made.placements if each.action in (MOVE, PLACE) and each.name in asked]
    kept = [each for each in made.placements if each.action in ("keep", "here")]
    for each in got:
        named = where.named(asked[each.name])
        assert named is None or number[each.host] in named
        for group in asked[each.name].groups:
            mine = where.domain(group.within, number[each.host])
            assert mine is not None
            for other in (*got, *kept):
                if other.name != each.name and other.name in asked and group in asked[other.name].groups:
                    theirs = where.domain(group.within, number[other.host])
                    assert (
                        (mine != theirs) if group.kind == APART else (mine == theirs or theirs is None or other in kept)
                    )


@EXAMPLES
@given(cases())
def test_every_step_fits_and_every_limit_is_kept(case):
    hosts, requests, options = case
    made = plan_fleet(hosts, requests, options)
    verify(hosts, requests, made, options)
    replay(hosts, requests, made)
    assert made.vcpus <= made.vcpus_at_most
    assert made == plan_fleet(hosts[::-1], requests[::-1], options)


@EXAMPLES
@given(cases())
def test_a_plan_that_was_carried_out_is_not_changed_by_the_next(case):
    hosts, requests, _options = case
    made = plan_fleet(hosts, requests)
    after = carried_out(hosts, requests, made)
    stuck = {each.name for each in made.rejections}
    asked = [each for each in requests if each.name not in stuck]
    again = plan_fleet(after, asked)
    moved = {each.name: (each.action, each.reason) for each in again.placements if each.action not in ("keep", STUCK)}
    assert moved.keys() <= stuck, moved


@EXAMPLES
@given(st.data())
def test_new_guests_move_nobody(data):
    hosts = data.draw(odd_fleet((IN,)))
    requests = [data.draw(odd_fleet_request(f"n{at}", hosts)) for at in range(4)]
    made = plan_fleet(hosts, requests)
    assert not made.moves
    assert {step.name for batch in made.batches for step in batch} <= {each.name for each in requests}
