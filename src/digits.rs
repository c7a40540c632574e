//! Numbers in decimal, written without the machinery of `fmt`: records and header fields hold
//! several of them for each request.

/// Appends a number.
pub(crate) fn push(out: &mut String, number: u64) {
    /// As many as `u64::MAX` has.
    const MOST: usize = 20;
    let mut buffer = [b'0'; MOST];
    let mut rest = number;
    let mut used = 0_usize;
    for place in buffer.iter_mut().rev() {
        *place = b'0' | (rest % 10) as u8;
        rest /= 10;
        used = used.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    let digits = buffer.get(MOST.saturating_sub(used)..).unwrap_or_default();
    out.push_str(std::str::from_utf8(digits).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_fmt_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = String::from("x");
            push(&mut out, number);
            assert_eq!(out, format!("x{number}"));
        }
    }
}
