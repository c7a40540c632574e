use super::*;

/// A proxy that has these bytes at hand.
struct Hand(Vec<u8>);

impl Bodies for Hand {
    fn body(&self, _: Side, start: usize, size: usize) -> Result<Vec<u8>, Failure> {
        let rest = self.0.get(start..).unwrap_or_default();
        Ok(rest.get(..size).unwrap_or(rest).to_vec())
    }
}

fn hand(bytes: &[u8]) -> Hand {
    Hand(bytes.to_vec())
}

fn rest(host: &Hand) -> HostBuffer<'_> {
    let side = Side::Request;
    HostBuffer { host, side }
}

fn progress(size: u64, state: BodyState) -> BodyProgress {
    BodyProgress { size, state }
}

#[test]
fn what_streams_keep_together_is_bounded() {
    let half = Share::Bodies.most() / 2;
    let (six, most) = (hand(&[1; 6]), 1 << 30);
    let mut one = BodyCopy::default();
    one.push(rest(&six), 6, most);
    assert_eq!((one.bytes.as_slice(), one.failed), (&[1; 6][..], None));
    let others = budget::reserve(Share::Bodies, half).unwrap();
    one.push(rest(&six), 12, most);
    assert_eq!((one.bytes.len(), one.failed), (0, Some(Failure::Memory)));
    drop(others);
    assert_eq!(
        budget::used(Share::Bodies),
        0,
        "what was kept is given back"
    );
    let mut third = BodyCopy::default();
    third.push(rest(&six), 6, 5);
    assert_eq!(third.failed, Some(Failure::Memory));
}

#[test]
fn a_body_in_many_pieces_is_seldom_copied() {
    let (hand, mut kept, mut moves) = (hand(&[7]), BodyCopy::default(), 0);
    for size in 1..=10_000 {
        let before = kept.bytes.capacity();
        kept.push(rest(&hand), size, 1 << 20);
        moves += usize::from(kept.bytes.capacity() != before);
    }
    assert!(kept.bytes.len() == 10_000 && moves < 20, "{moves}");
}

#[test]
fn a_body_is_shown_whole_or_not_at_all() {
    let hand = hand(b"abc");
    let kept = || {
        let mut kept = BodyCopy::default();
        kept.push(rest(&hand), 3, 9);
        Some(kept)
    };
    let open = BufferedBody::new(progress(3, BodyState::Open), 9, kept(), None);
    assert_eq!(open.bytes(9), Err(NoBytes::Incomplete));
    let whole = BufferedBody::new(progress(3, BodyState::Complete), 9, kept(), None);
    assert_eq!((whole.bytes(9), whole.failed()), (Ok(&b"abc"[..]), None));
    let more = progress(6, BodyState::Complete);
    let more = BufferedBody::new(more, 9, kept(), Some(rest(&hand)));
    assert_eq!(more.bytes(9), Ok(&b"abcabc"[..]));
    let short = BufferedBody::new(progress(4, BodyState::Complete), 9, kept(), None);
    assert_eq!(
        (short.bytes(9), short.failed()),
        (Err(NoBytes::Unavailable), Some(Failure::HostCall))
    );
    let large = BufferedBody::new(progress(3, BodyState::Complete), 2, kept(), None);
    assert_eq!(
        (large.bytes(9), large.failed()),
        (Err(NoBytes::TooMany), None)
    );
}

#[test]
fn what_has_come_is_shown_from_any_byte_on() {
    let shown = |body: &BufferedBody<'_>, done| body.show(done, 9, <[u8]>::to_vec);
    let held = hand(b"abcd");
    let body = BufferedBody::new(progress(4, BodyState::Open), 9, None, Some(rest(&held)));
    assert_eq!(shown(&body, 0).unwrap(), b"abcd");
    assert_eq!(shown(&body, 3).unwrap(), b"d");
    assert_eq!(shown(&body, 4).unwrap(), b"");
    assert_eq!(shown(&body, 5), None);
    assert_eq!(body.show(0, 3, <[u8]>::to_vec), None, "too many");
    let short = BufferedBody::new(progress(5, BodyState::Open), 9, None, Some(rest(&held)));
    assert_eq!((shown(&short, 2), short.failed()), (None, None));
    for state in [BodyState::Open, BodyState::Complete] {
        let mut kept = BodyCopy::default();
        kept.push(rest(&held), 4, 9);
        let piece = hand(b"ef");
        let body = BufferedBody::new(progress(6, state), 9, Some(kept), Some(rest(&piece)));
        assert_eq!(shown(&body, 3).unwrap(), b"def");
        assert_eq!(shown(&body, 0).unwrap(), b"abcdef");
        let mut kept = body.into_kept().unwrap();
        kept.push(rest(&piece), 6, 9);
        assert_eq!(kept.bytes, b"abcdef", "a piece is kept once");
    }
    let none = BufferedBody::new(progress(4, BodyState::Complete), 9, None, None);
    assert_eq!(shown(&none, 0), None);
}

#[test]
fn a_body_that_finds_no_memory_is_not_read() {
    let hand = hand(b"abc");
    let body = || {
        let whole = progress(3, BodyState::Complete);
        BufferedBody::new(whole, 9, None, Some(rest(&hand)))
    };
    let spent = budget::reserve(Share::Bodies, Share::Bodies.most() - 2).unwrap();
    let refused = body();
    assert_eq!(
        (refused.bytes(9), refused.failed()),
        (Err(NoBytes::Unavailable), Some(Failure::Memory))
    );
    drop(spent);
    assert_eq!(body().bytes(9), Ok(&b"abc"[..]));
}
