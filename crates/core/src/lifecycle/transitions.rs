//! The table of the life cycle: which state may follow which (section 7 of the design).

use std::collections::VecDeque;

use dataflow_ids::LifeCycle::{
    self, Backoff, Declared, Downloading, Draining, Failed, Finished, Parked, Placed, Ready,
    Running, Starting, Stopping,
};

/// Whether `to` may follow `from`. A node never goes from a state to the same state.
#[must_use]
pub fn transition_allowed(from: LifeCycle, to: LifeCycle) -> bool {
    matches!(
        (from, to),
        (Declared, Placed | Draining)
            | (Placed, Downloading | Starting | Draining)
            | (Downloading, Starting | Draining)
            | (Starting, Ready | Stopping | Backoff | Draining)
            | (Ready, Running | Stopping | Backoff | Draining)
            | (Running, Stopping | Backoff | Draining)
            | (Stopping, Starting | Parked | Draining)
            | (Backoff, Starting | Parked | Draining)
            | (Parked, Starting | Draining)
            | (Draining, Finished | Failed)
    )
}

/// The fewest states that lead from one to another, the last of them included. Empty when nothing leads there, or when
/// they are the same.
#[must_use]
pub fn shortest_way(from: LifeCycle, to: LifeCycle) -> Vec<LifeCycle> {
    let mut before = [None; LifeCycle::ALL.len()];
    let mut reached = VecDeque::from([from]);
    while let Some(state) = reached.pop_front() {
        if state == to {
            break;
        }
        for next in LifeCycle::ALL {
            if next != from && before[next as usize].is_none() && transition_allowed(state, next) {
                before[next as usize] = Some(state);
                reached.push_back(next);
            }
        }
    }
    let mut way = Vec::new();
    let mut state = to;
    while let Some(earlier) = before[state as usize] {
        way.push(state);
        state = earlier;
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_way_is_allowed_step_by_step_and_leads_there_wherever_something_does() {
        for from in LifeCycle::ALL {
            let mut reachable = vec![from];
            let mut place = 0;
            while let Some(state) = reachable.get(place).copied() {
                let next = LifeCycle::ALL.into_iter();
                let new: Vec<_> = next
                    .filter(|next| transition_allowed(state, *next) && !reachable.contains(next))
                    .collect();
                reachable.extend(new);
                place += 1;
            }
            for to in LifeCycle::ALL {
                let way = shortest_way(from, to);
                let leads_there = from != to && reachable.contains(&to);
                assert_eq!(
                    way.last() == Some(&to),
                    leads_there,
                    "{from} to {to}: {way:?}"
                );
                let steps = std::iter::once(&from).chain(&way).zip(&way);
                for (state, next) in steps {
                    assert!(transition_allowed(*state, *next), "{from} to {to}: {way:?}");
                }
            }
        }
        assert_eq!(shortest_way(Placed, Running), [Starting, Ready, Running]);
        assert_eq!(shortest_way(Running, Starting), [Stopping, Starting]);
    }
}
