//! The public operation of RSA, `s^65537 mod n`.
//!
//! Of our own because libraries take many times as long in wasm: they are made for private
//! operations too. Here signature, modulus and exponent are public, so nothing needs to take
//! constant time.
//!
//! It is Montgomery's multiplication, column by column. A number is a row of limbs of 27 bits, the
//! least first. Products of limbs have 54 bits and are added up without carrying: of the sums of a
//! column there are fewer than 2^10. Four limbs are a *tile*, and so are multiplied four by four:
//! each is loaded once for four products.

use std::ops::Range;

/// A modulus has at most so many bytes.
pub(super) const MOST_BYTES: usize = 512;

const LEAST_BITS: usize = 2048;
const LIMB_BITS: usize = 27;
const LIMB: u64 = (1 << LIMB_BITS) - 1;
const TILE_BITS: usize = 4 * LIMB_BITS;
/// Room for twice the largest modulus: what comes out of a multiplication is less than that.
const MOST_TILES: usize = (8 * MOST_BYTES + 2).div_ceil(TILE_BITS);

type Tile = [u32; 4];
type Number = [Tile; MOST_TILES];

const ZERO: Number = [[0; 4]; MOST_TILES];

/// An odd number of 2048 to 4096 bits, and what multiplying modulo it needs.
pub(super) struct Modulus {
    bits: usize,
    /// Its tiles, as many as hold four times the number: then `R` is so large that factors below twice
    /// the modulus give a product below that, with no subtraction between. All numbers have as many.
    tiles: Vec<Tile>,
    /// Its least tile.
    least: Tile,
    /// `-1` divided by its least limb, modulo `2^27`: times a column, it says which multiple of the
    /// modulus makes that column zero.
    inverse: u32,
    /// `R²` modulo the modulus; `R` is one more than the largest number of its tiles.
    square: Vec<Tile>,
}

/// The sums of the columns of a tile, and of the three more that a product of tiles reaches.
///
/// INVARIANT: none overflows. A column is the sum of at most `4 * MOST_TILES` products of limbs of
/// two factors and as many of the reduction, 304 in all, below `2^54` each; and of a carry below
/// `2^37`.
#[derive(Clone, Copy, Default)]
struct Columns([u64; 7]);

impl Columns {
    /// Adds `a[0] * b[last] + a[1] * b[last - 1] + …`.
    fn add_products(&mut self, a: &[Tile], b: &[Tile]) {
        for (a, b) in a.iter().zip(b.iter().rev()) {
            let [c0, c1, c2, c3, c4, c5, c6] = &mut self.0;
            let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (*a, *b);
            // Casts, and not `u64::from`: builds for tests do not inline it, and take long enough.
            let [a0, a1, a2, a3] = [a0 as u64, a1 as u64, a2 as u64, a3 as u64];
            let [b0, b1, b2, b3] = [b0 as u64, b1 as u64, b2 as u64, b3 as u64];
            *c0 += a0 * b0;
            *c1 += a0 * b1 + a1 * b0;
            *c2 += a0 * b2 + a1 * b1 + a2 * b0;
            *c3 += a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0;
            *c4 += a1 * b3 + a2 * b2 + a3 * b1;
            *c5 += a2 * b3 + a3 * b2;
            *c6 += a3 * b3;
        }
    }

    /// Adds what [`Columns::add_products`] adds of `a` and `a` itself, in half the products.
    fn add_squares(&mut self, a: &[Tile]) {
        let half = a.len() / 2;
        let (low, rest) = a.split_at_checked(half).unwrap_or_default();
        let high = a.get(a.len().saturating_sub(half)..).unwrap_or_default();
        let mut once = Self::default();
        once.add_products(low, high);
        for (sum, once) in self.0.iter_mut().zip(once.0) {
            *sum += 2 * once;
        }
        if a.len() % 2 == 1 {
            self.add_products(
                rest.get(..1).unwrap_or_default(),
                rest.get(..1).unwrap_or_default(),
            );
        }
    }

    /// Adds that multiple of the modulus that makes the tile zero, takes it off and gives the factor.
    fn cancel(&mut self, modulus: &Modulus) -> Tile {
        let factor = |column: u64| column.wrapping_mul(u64::from(modulus.inverse)) & LIMB;
        let [c0, mut c1, mut c2, mut c3, c4, c5, c6] = self.0;
        let [n0, n1, n2, n3] = modulus.least.map(u64::from);
        let q0 = factor(c0);
        c1 += q0 * n1 + ((c0 + q0 * n0) >> LIMB_BITS);
        let q1 = factor(c1);
        c2 += q0 * n2 + q1 * n1 + ((c1 + q1 * n0) >> LIMB_BITS);
        let q2 = factor(c2);
        c3 += q0 * n3 + q1 * n2 + q2 * n1 + ((c2 + q2 * n0) >> LIMB_BITS);
        let q3 = factor(c3);
        let carry = (c3 + q3 * n0) >> LIMB_BITS;
        self.0 = [
            c4 + q1 * n3 + q2 * n2 + q3 * n1 + carry,
            c5 + q2 * n3 + q3 * n2,
            c6 + q3 * n3,
            0,
            0,
            0,
            0,
        ];
        [q0, q1, q2, q3].map(|limb| limb as u32)
    }

    /// Takes off the tile, whose sums are complete.
    fn take(&mut self) -> Tile {
        let [c0, mut c1, mut c2, mut c3, c4, c5, c6] = self.0;
        c1 += c0 >> LIMB_BITS;
        c2 += c1 >> LIMB_BITS;
        c3 += c2 >> LIMB_BITS;
        self.0 = [c4 + (c3 >> LIMB_BITS), c5, c6, 0, 0, 0, 0];
        [c0, c1, c2, c3].map(|column| (column & LIMB) as u32)
    }
}

impl Modulus {
    /// A big-endian number. `None` when it is even or not of 2048 to 4096 bits.
    pub(super) fn new(number: &[u8]) -> Option<Self> {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = number.get(zeros..)?;
        let unused = number.first()?.leading_zeros() as usize;
        let bits = number.len().checked_mul(8)?.checked_sub(unused)?;
        if !(LEAST_BITS..=8 * MOST_BYTES).contains(&bits) || number.last()? % 2 == 0 {
            return None;
        }
        let tiles = parse(number)
            .get(..(bits + 2).div_ceil(TILE_BITS))?
            .to_vec();
        let least = *tiles.first()?;
        let [limb, ..] = least;
        // Newton: each step doubles the bits that are right, of which an odd number has three.
        let inverse = (0..4).fold(limb, |inverse, _| {
            inverse.wrapping_mul(2_u32.wrapping_sub(limb.wrapping_mul(inverse)))
        });
        let mut modulus = Self {
            bits,
            tiles,
            least,
            inverse: inverse.wrapping_neg(),
            square: Vec::new(),
        };
        modulus.square = modulus.square_of_r()?;
        Some(modulus)
    }

    /// How many bits it has.
    pub(super) fn bits(&self) -> usize {
        self.bits
    }

    /// Writes `signature^65537` modulo this, big-endian. `None` when the signature is no less than
    /// the modulus (RFC 8017 §5.2.2).
    pub(super) fn public_operation(&self, signature: &[u8], result: &mut [u8]) -> Option<()> {
        let signature = parse(signature);
        let signature = self.own(&signature);
        if !is_less(signature, &self.tiles) {
            return None;
        }
        // With a factor R, so that each multiplication, which takes one away, leaves one.
        let mut power = self.multiply(signature, &self.square);
        for _ in 0..16 {
            power = self.squared(&power);
        }
        // Without one, so that this multiplication leaves none.
        power = self.multiply(self.own(&power), signature);
        self.reduce(&mut power);
        write(&power, result);
        Some(())
    }

    /// The tiles of a number that count.
    fn own<'n>(&self, number: &'n Number) -> &'n [Tile] {
        number.get(..self.tiles.len()).unwrap_or_default()
    }

    /// `a * b / R` modulo this, and less than twice this, as `a` and `b` are.
    fn multiply(&self, a: &[Tile], b: &[Tile]) -> Number {
        self.montgomery(|columns, tiles| {
            let factors = (a.get(tiles.clone()), b.get(tiles));
            columns.add_products(factors.0.unwrap_or_default(), factors.1.unwrap_or_default());
        })
    }

    /// `a² / R` modulo this, and less than twice this, as `a` is.
    fn squared(&self, a: &Number) -> Number {
        let a = self.own(a);
        self.montgomery(|columns, tiles| columns.add_squares(a.get(tiles).unwrap_or_default()))
    }

    /// `add` adds to a tile of columns what the product has there: of both factors the same tiles
    /// meet, the first of one with the last of the other.
    #[inline(always)]
    fn montgomery(&self, add: impl Fn(&mut Columns, Range<usize>)) -> Number {
        let tiles = self.tiles.len();
        let (mut factor, mut result) = (ZERO, ZERO);
        let mut columns = Columns::default();
        for index in 0..tiles {
            add(&mut columns, 0..index + 1);
            let (known, rest) = factor.split_at_mut_checked(index).unwrap_or_default();
            columns.add_products(known, self.tiles.get(1..=index).unwrap_or_default());
            if let Some(next) = rest.first_mut() {
                *next = columns.cancel(self);
            }
        }
        for (index, tile) in (1..=tiles).zip(&mut result) {
            add(&mut columns, index..tiles);
            let factor = factor.get(index..tiles).unwrap_or_default();
            columns.add_products(factor, self.tiles.get(index..).unwrap_or_default());
            *tile = columns.take();
        }
        result
    }

    /// Takes the modulus away once, unless the number is less.
    fn reduce(&self, number: &mut Number) {
        if is_less(self.own(number), &self.tiles) {
            return;
        }
        let mut borrow = 0;
        for (limb, other) in number
            .as_flattened_mut()
            .iter_mut()
            .zip(self.tiles.as_flattened())
        {
            let difference = i64::from(*limb) - i64::from(*other) + borrow;
            *limb = difference as u32 & LIMB as u32;
            borrow = difference >> LIMB_BITS;
        }
    }

    fn double(&self, number: &mut Number) {
        let mut carry = 0;
        for limb in number.as_flattened_mut() {
            let twice = (*limb << 1) | carry;
            *limb = twice & LIMB as u32;
            carry = twice >> LIMB_BITS;
        }
        self.reduce(number);
    }

    /// `R²` modulo this. `R` is `2^exponent`, so this is `R * 2^m` with that `m`: from `R * 2`, by the
    /// exponent's bits. Multiplying divides by `R`, so `R * 2^m` squared is `R * 2^2m`.
    fn square_of_r(&self) -> Option<Vec<Tile>> {
        let exponent = self.tiles.len() * TILE_BITS;
        let mut number = ZERO;
        let top = self.bits.checked_sub(1)?;
        *number.as_flattened_mut().get_mut(top / LIMB_BITS)? = 1 << (top % LIMB_BITS);
        for _ in top..=exponent {
            self.double(&mut number);
        }
        // It is 2R: the first bit of the exponent is done.
        for bit in (0..exponent.ilog2()).rev() {
            number = self.squared(&number);
            self.reduce(&mut number);
            if exponent >> bit & 1 == 1 {
                self.double(&mut number);
            }
        }
        Some(self.own(&number).to_vec())
    }
}

/// A big-endian number of at most [`MOST_BYTES`].
fn parse(number: &[u8]) -> Number {
    let mut bytes = number.iter().rev();
    let (mut held, mut bits) = (0_u64, 0);
    let mut parsed = ZERO;
    for limb in parsed.as_flattened_mut() {
        while bits < LIMB_BITS {
            held |= u64::from(bytes.next().copied().unwrap_or(0)) << bits;
            bits += 8;
        }
        *limb = (held & LIMB) as u32;
        held >>= LIMB_BITS;
        bits -= LIMB_BITS;
    }
    parsed
}

/// The number big-endian, as much of it as there is room for.
fn write(number: &Number, into: &mut [u8]) {
    let mut limbs = number.as_flattened().iter();
    let (mut held, mut bits) = (0_u64, 0);
    for byte in into.iter_mut().rev() {
        if bits < 8 {
            held |= u64::from(limbs.next().copied().unwrap_or(0)) << bits;
            bits += LIMB_BITS;
        }
        *byte = held as u8;
        held >>= 8;
        bits -= 8;
    }
}

fn is_less(a: &[Tile], b: &[Tile]) -> bool {
    a.as_flattened()
        .iter()
        .rev()
        .lt(b.as_flattened().iter().rev())
}
