//! StreamHosts that failed and are left out for a while.

use super::*;

/// Runs a Target that reaches nobody, or refuses handshakes.
fn fail(memory: &mut FailedHosts, now: Instant, how: fn(&mut Hand<Target>)) -> String {
    let iq = offer(ROMEO, "q1", &[host(PROXY, "192.0.2.1:1")]);
    let mut hand = target_with(&iq, memory, now);
    hand.now = now;
    let said = hand.said();
    if said.starts_with("connect") {
        how(&mut hand);
    }
    hand.wait_millis(9_000);
    memory.learn(&hand.machine, hand.now);
    said
}

#[test]
fn a_host_that_failed_twice_is_left_out_for_a_while() {
    let refused = |hand: &mut Hand<Target>| hand.failed(0, ConnectError::Refused);
    let mut memory = FailedHosts::default();
    let mut now = Instant::ZERO;
    for _ in 0..2 {
        assert_eq!(fail(&mut memory, now, refused), "connect 0 192.0.2.1:1");
        now += Duration::from_secs(10);
    }
    assert_eq!(fail(&mut memory, now, refused), "");
    now += FailedHosts::MEMORY;
    assert_eq!(fail(&mut memory, now, refused), "connect 0 192.0.2.1:1");
}

#[test]
fn a_peer_cannot_spoil_a_host_that_works() {
    let hows: [fn(&mut Hand<Target>); 2] = [
        |hand| hand.failed(0, ConnectError::Forbidden),
        |hand| {
            let conn = hand.connected(0);
            hand.received(conn, &octets(MET));
            hand.received(conn, &octets("0502"));
        },
    ];
    for how in hows {
        let mut memory = FailedHosts::default();
        for _ in 0..5 {
            assert_eq!(
                fail(&mut memory, Instant::ZERO, how),
                "connect 0 192.0.2.1:1"
            );
        }
    }
    // Silence tells, and success forgives.
    let silent: fn(&mut Hand<Target>) = |hand| {
        hand.connected(0);
    };
    let good: fn(&mut Hand<Target>) = |hand| {
        let conn = hand.connected(0);
        shake(hand, conn);
    };
    let mut memory = FailedHosts::default();
    for how in [silent, good, silent, good, silent, silent] {
        assert_eq!(
            fail(&mut memory, Instant::ZERO, how),
            "connect 0 192.0.2.1:1"
        );
    }
    assert_eq!(fail(&mut memory, Instant::ZERO, silent), "");
}

#[test]
fn the_memory_of_failures_is_bounded() {
    let mut memory = FailedHosts::default();
    for port in 1..=1000 {
        let iq = offer(ROMEO, "q1", &[host(PROXY, &format!("192.0.2.1:{port}"))]);
        let now = Instant::from_micros(port);
        for _ in 0..2 {
            let mut hand = target_with(&iq, &memory, now);
            hand.failed(0, ConnectError::Refused);
            memory.learn(&hand.machine, now);
        }
    }
    let now = Instant::from_micros(1000);
    let avoided =
        (1..=1000).filter(|port| memory.avoids(&host(PROXY, &format!("192.0.2.1:{port}")), now));
    let avoided: Vec<u64> = avoided.collect();
    assert_eq!(avoided.len(), FailedHosts::MAX);
    assert_eq!(avoided.last(), Some(&1000));
}
