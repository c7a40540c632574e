//! Numbers in decimal, written without the machinery of `fmt`: records and header fields hold
//! several of them for each request.

/// As many digits as `u64::MAX` has.
const MOST: usize = 20;

/// A number's digits.
pub struct Digits {
    buffer: [u8; MOST],
    used: usize,
}

impl Digits {
    /// Those of a number. Once in the code, for all who write some.
    #[inline(never)]
    pub fn of(number: u64) -> Self {
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
        Self { buffer, used }
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        let start = MOST.saturating_sub(self.used);
        self.buffer.get(start..).unwrap_or_default()
    }
}

/// Appends a number.
#[inline]
pub fn push(out: &mut String, number: u64) {
    let digits = Digits::of(number);
    out.push_str(std::str::from_utf8(digits.as_bytes()).unwrap_or_default());
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
