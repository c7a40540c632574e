use super::*;
use crate::host::{Hash, HostScheme};

fn seconds(host: &MemoryHost) -> [u64; 2] {
    #[allow(clippy::disallowed_methods, reason = "this is about that clock")]
    let wall = host.wall_clock();
    [wall, host.monotonic()].map(|time| time.as_secs())
}

#[test]
fn the_clocks_are_set_apart_and_moved_together() {
    let host = MemoryHost::new().at_second(100);
    assert_eq!(seconds(&host), [100, 100]);
    host.set_wall_clock(Duration::from_secs(7));
    host.advance(Duration::from_secs(5));
    assert_eq!(seconds(&host), [12, 105]);
    host.advance(Duration::MAX);
    host.set_now(Duration::from_secs(1));
    assert_eq!(seconds(&host), [1, 1]);
    let stepping = MemoryHost::new().with_clock_step(Duration::from_secs(2));
    assert_eq!([seconds(&stepping), seconds(&stepping)], [[0, 0], [2, 2]]);
}

#[test]
fn the_systems_clocks_go_on() {
    let host = MemoryHost::of_system();
    let [wall, _] = seconds(&host);
    assert!(wall > 1_700_000_000, "{wall}");
    let before = host.monotonic();
    while host.monotonic() == before {}
    assert!(host.monotonic() > before);
    assert_ne!(host.random(), MemoryHost::of_system().random());
}

#[test]
fn cells_are_compared_by_their_marks() {
    let host = MemoryHost::new();
    assert_eq!(host.cell("a"), Ok(None));
    assert_eq!(host.create_cell("a", b"1"), Ok(Swap::Written));
    assert_eq!(host.create_cell("a", b"2"), Ok(Swap::Changed));
    let (value, first) = host.cell("a").unwrap().unwrap();
    assert_eq!(value, b"1");
    assert_eq!(host.swap_cell("a", Some(first), b"3"), Ok(Swap::Written));
    assert_eq!(host.swap_cell("a", Some(first), b"4"), Ok(Swap::Changed));
    assert_eq!(host.swap_cell("a", None, b"5"), Ok(Swap::Written));
    assert_eq!(host.cells().keys().collect::<Vec<_>>(), ["a"]);
    let other = MemoryHost::new().with_cells(host.cells());
    assert_eq!(other.cell("a").unwrap().unwrap().0, b"5");
    host.set_cell("a", b"6").unwrap();
    assert_eq!(other.cell("a").unwrap().unwrap().0, b"5");
}

#[test]
fn cells_fail_when_they_are_told_to() {
    let host = MemoryHost::new();
    host.lose_writes(2);
    let write = || host.swap_cell("a", None, b"1");
    let lost = Ok(Swap::Changed);
    assert_eq!([write(), write(), write()], [lost, lost, Ok(Swap::Written)]);
    host.fail_cells(true);
    assert_eq!(
        (host.cell("a"), write()),
        (Err(CellUnavailable), Err(CellUnavailable))
    );
    host.fail_cells(false);
    assert_eq!(host.cell("a").unwrap().unwrap().0, b"1");
    let forgetful = MemoryHost::new().with_cell_store(Rc::new(ForgetfulCells));
    assert_eq!(forgetful.create_cell("a", b"1"), Ok(Swap::Written));
    assert_eq!(forgetful.cell("a"), Ok(None));
}

#[test]
fn cells_have_an_end() {
    let host = MemoryHost::new();
    let half = vec![0; (32 << 20) - 1];
    for key in ["a", "b", "a", "b"] {
        assert_eq!(host.swap_cell(key, None, &half), Ok(Swap::Written));
    }
    assert_eq!(host.swap_cell("c", None, b""), Err(CellUnavailable));
    assert_eq!(host.swap_cell("a", None, b""), Ok(Swap::Written));
    assert_eq!(host.swap_cell("c", None, b""), Ok(Swap::Written));
}

#[test]
fn what_is_counted_can_be_read() {
    let host = MemoryHost::new();
    host.count(Counter(3));
    host.count_many(Counter(3), 4);
    host.count_many(Counter(4), u64::MAX);
    host.count(Counter(4));
    let counted = [2, 3, 4].map(|number| host.counted(Counter(number)));
    assert_eq!(counted, [0, 5, u64::MAX]);
    for value in 0..2000 {
        host.observe(Histogram(1), value);
    }
    let recorded = host.recorded(Histogram(1));
    assert_eq!((recorded.count, recorded.sum), (2000, 1_999_000));
    assert!(recorded.latest.into_iter().eq(976..2000));
    assert_eq!(host.recorded(Histogram(0)), Recorded::default());
}

#[test]
fn it_knows_what_it_was_told() {
    let host = MemoryHost::new()
        .with_client("192.0.2.1:1")
        .with_number(Property::ResponseStatus, 200)
        .with_variable("SECRET", "hush");
    assert_eq!(
        host.property(Property::ClientAddress).unwrap(),
        b"192.0.2.1:1"
    );
    let status = [200, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(host.property(Property::ResponseStatus).unwrap(), status);
    host.set_client("192.0.2.2:1");
    assert_eq!(
        host.property(Property::ClientAddress).unwrap(),
        b"192.0.2.2:1"
    );
    host.clear_property(Property::ClientAddress);
    assert_eq!(host.property(Property::ClientAddress), None);
    assert_eq!(host.environment("SECRET").unwrap(), b"hush");
    assert_eq!(host.environment("OTHER"), None);
}

#[test]
fn bodies_come_in_pieces() {
    let host = MemoryHost::new();
    let at_hand = |size| host.body(Side::Request, size);
    assert_eq!(at_hand(1), Err(Failure::HostCall));
    assert_eq!(host.receive(Side::Request, b"ab", true), 2);
    assert_eq!(host.receive(Side::Request, b"cd", true), 4);
    assert_eq!(at_hand(4).unwrap(), b"abcd");
    assert_eq!(
        (at_hand(3).unwrap(), at_hand(9).unwrap()),
        (b"abc".to_vec(), b"abcd".to_vec())
    );
    assert_eq!(host.receive(Side::Request, b"e", false), 1);
    assert_eq!(at_hand(1).unwrap(), b"e");
    assert_eq!(host.body(Side::Response, 1), Err(Failure::HostCall));
}

#[test]
fn signatures_are_checked_by_what_it_is_given() {
    let check = SignatureCheck {
        scheme: HostScheme::EcdsaP256,
        hash: Hash::Sha256,
        public_key: b"",
        signature: b"good",
        signed: b"",
    };
    let host = MemoryHost::new();
    assert_eq!(host.verify_signature(check), HostVerdict::Unavailable);
    let host = host.with_signatures(|check| match check.signature {
        b"good" => HostVerdict::Valid,
        _ => HostVerdict::Invalid,
    });
    assert_eq!(host.verify_signature(check), HostVerdict::Valid);
    let bad = SignatureCheck {
        signature: b"bad",
        ..check
    };
    assert_eq!(host.verify_signature(bad), HostVerdict::Invalid);
}

#[test]
fn random_bits_follow_from_the_seed() {
    let three = |seed| {
        let host = MemoryHost::new().with_seed(seed);
        [host.random(), host.random(), host.random()]
    };
    assert_eq!(three(1), three(1));
    let [first, second, third] = three(1);
    assert!(first != second && second != third && three(2) != three(1));
}
