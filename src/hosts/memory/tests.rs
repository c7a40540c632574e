use super::*;
use portcullis_exchange::call::HostResponse as _;
use portcullis_exchange::host::{Hash, HostScheme};

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
    assert_eq!(host.create_cell("a", b"1"), Ok(CasResult::Written));
    assert_eq!(host.create_cell("a", b"2"), Ok(CasResult::Changed));
    let (value, first) = host.cell("a").unwrap().unwrap();
    assert_eq!(value, b"1");
    assert_eq!(
        host.compare_and_swap("a", Some(first), b"3"),
        Ok(CasResult::Written)
    );
    assert_eq!(
        host.compare_and_swap("a", Some(first), b"4"),
        Ok(CasResult::Changed)
    );
    assert_eq!(
        host.compare_and_swap("a", None, b"5"),
        Ok(CasResult::Written)
    );
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
    let write = || host.compare_and_swap("a", None, b"1");
    let lost = Ok(CasResult::Changed);
    assert_eq!(
        [write(), write(), write()],
        [lost, lost, Ok(CasResult::Written)]
    );
    host.fail_cells(true);
    assert_eq!(
        (host.cell("a"), write()),
        (Err(CellUnavailable), Err(CellUnavailable))
    );
    host.fail_cells(false);
    assert_eq!(host.cell("a").unwrap().unwrap().0, b"1");
    let forgetful = MemoryHost::new().with_cell_store(Rc::new(ForgetfulCells));
    assert_eq!(forgetful.create_cell("a", b"1"), Ok(CasResult::Written));
    assert_eq!(forgetful.cell("a"), Ok(None));
}

#[test]
fn cells_have_an_end() {
    let host = MemoryHost::new();
    let half = vec![0; (32 << 20) - 1];
    for key in ["a", "b", "a", "b"] {
        assert_eq!(
            host.compare_and_swap(key, None, &half),
            Ok(CasResult::Written)
        );
    }
    assert_eq!(host.compare_and_swap("c", None, b""), Err(CellUnavailable));
    assert_eq!(
        host.compare_and_swap("a", None, b""),
        Ok(CasResult::Written)
    );
    assert_eq!(
        host.compare_and_swap("c", None, b""),
        Ok(CasResult::Written)
    );
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
    let at_hand = |size| host.body(Side::Request, 0, size);
    assert_eq!(at_hand(1), Err(Failure::HostCall));
    assert_eq!(host.receive(Side::Request, b"ab", true), 2);
    assert_eq!(host.receive(Side::Request, b"cd", true), 4);
    assert_eq!(at_hand(4).unwrap(), b"abcd");
    assert_eq!(
        (at_hand(3).unwrap(), at_hand(9).unwrap()),
        (b"abc".to_vec(), b"abcd".to_vec())
    );
    assert_eq!(host.body(Side::Request, 1, 2).unwrap(), b"bc");
    assert_eq!(host.body(Side::Request, 5, 2).unwrap(), b"");
    assert_eq!(host.receive(Side::Request, b"e", false), 1);
    assert_eq!(at_hand(1).unwrap(), b"e");
    assert_eq!(host.body(Side::Response, 0, 1), Err(Failure::HostCall));
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

fn call(cluster: &str) -> Call {
    Call {
        cluster: cluster.into(),
        headers: Vec::new(),
        body: b"question".to_vec(),
        timeout: Duration::from_secs(1),
    }
}

#[test]
fn calls_go_to_clusters_that_are_there_and_end_later() {
    let host = MemoryHost::new()
        .with_cluster("silent")
        .with_responding_cluster("idp", |call| Ok(MemoryResponse::new(200, &call.body)))
        .with_responding_cluster("slow", |_| Err(CallError::Timeout));
    assert_eq!(host.call(&call("none")), Err(CallError::NoCluster));
    let tokens = ["silent", "idp", "slow"].map(|name| host.call(&call(name)).unwrap());
    assert_eq!(host.last_call(), Some(tokens[2]));
    let made = host.take_calls();
    assert!(made.iter().map(|(token, _)| *token).eq(tokens));
    assert!(host.take_calls().is_empty());
    let [(idp, good), (slow, late)] = host.take_ended().try_into().unwrap();
    assert_eq!([idp, slow], tokens[1..]);
    assert_eq!(
        good.headers().unwrap().one(":status"),
        Ok(Some(&b"200"[..]))
    );
    assert_eq!(
        (good.body_size(), good.body()),
        (8, Ok(b"question".to_vec()))
    );
    assert_eq!(
        (late.body_size(), late.body()),
        (0, Err(CallError::Timeout))
    );
    assert!(host.take_ended().is_empty());
    // Calls that nobody takes have an end.
    while host.call(&call("silent")).is_ok() {}
    assert_eq!(host.call(&call("silent")), Err(CallError::NoMemory));
    assert_eq!(host.take_calls().len(), 1024);
    assert!(host.call(&call("silent")).is_ok());
}

#[test]
fn lines_are_kept_or_written() {
    let host = MemoryHost::new();
    for number in 0..2000 {
        host.log(Level::Warn, &number.to_string());
    }
    let lines = host.take_log();
    assert_eq!((lines.len(), lines[0].1.as_str()), (1024, "976"));
    assert!(host.take_log().is_empty());
    let written = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&written);
    let host = MemoryHost::new()
        .with_log(move |level, line| sink.borrow_mut().push((level, line.to_owned())));
    host.log(Level::Error, "it");
    assert_eq!(*written.borrow(), [(Level::Error, "it".to_owned())]);
    assert!(host.take_log().is_empty());
    host.set_filter_state("record", "{}");
    assert_eq!(host.filter_state("record").as_deref(), Some("{}"));
}

#[test]
fn metrics_have_one_number_for_each_name() {
    let host = MemoryHost::new();
    let gauge = host.define(MetricKind::Gauge, "keys").unwrap();
    let counter = host.define(MetricKind::Counter, "denied").unwrap();
    assert_eq!(host.define(MetricKind::Gauge, "keys"), Some(gauge));
    host.set(gauge, 7);
    host.add(gauge, -2);
    host.add(counter, 3);
    let values = ["keys", "denied", "other"].map(|name| host.metric(name));
    assert_eq!(values, [Some(5), Some(3), None]);
    host.add(MetricId(9), 1);
}

#[test]
fn workers_of_one_proxy_share_its_cells_and_nothing_else() {
    let one = MemoryHost::new().at_second(5);
    let other = MemoryHost::new().with_cells_of(&one);
    assert_eq!(one.create_cell("a", b"1"), Ok(CasResult::Written));
    assert_eq!(other.create_cell("a", b"2"), Ok(CasResult::Changed));
    other.count(Counter(1));
    assert_eq!((one.counted(Counter(1)), seconds(&other)), (0, [0, 0]));
}
