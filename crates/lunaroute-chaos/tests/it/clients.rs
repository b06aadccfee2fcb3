//! What clients do, each part small enough for every change.

use crate::scenarios::check;

#[test]
fn raw_requests_are_served_or_refused_as_the_standard_says() {
    check("clients raw");
}

#[test]
fn pipelined_requests_are_answered_in_order_and_recorded() {
    check("clients pipelining");
}

#[test]
fn hang_ups_reach_the_provider_and_the_record() {
    check("clients disconnects");
}

#[test]
fn slow_clients_are_closed() {
    check("clients slowloris");
}

#[test]
fn stalled_readers_hold_the_provider_back_and_are_cut() {
    check("clients stalled");
}

#[test]
fn floods_over_http2_cost_little() {
    check("clients floods");
}

#[test]
fn hostile_bodies_break_nothing() {
    check("clients hostile");
}

#[test]
fn too_few_descriptors_are_lived_with() {
    check("clients descriptors");
}

#[test]
fn idle_streams_are_kept() {
    check("clients idle");
}

#[test]
fn an_overload_is_shed() {
    check("clients overload");
}
