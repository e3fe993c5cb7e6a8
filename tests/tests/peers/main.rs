//! Peers on several hosts: real agents, real cables that are pulled.

mod addresses;
mod ends;
mod first_contact;
mod hosts;
mod outages;
mod reload;
mod runs;
mod two_of_one;
mod ways;
mod world;

/// Scenarios that wait for a long time, most of it for nothing to happen: side by side.
#[test]
fn all_that_takes_long_is_seen_to_the_end() {
    world::side_by_side(&[
        ("a cable out for 60 s", outages::a_cable_out_for_60_s),
        ("a cable out for 5 s", outages::a_cable_out_for_5_s),
        ("an agent stopped for 60 s", ends::an_agent_stopped_for_60_s),
        ("loss and delay", ways::loss_and_delay),
        ("one way is lost", ways::one_way_is_lost),
        ("the own card down", outages::the_own_card_down),
        ("an agent killed", ends::an_agent_killed),
        ("a host that moves", addresses::a_host_that_moves),
    ]);
}
