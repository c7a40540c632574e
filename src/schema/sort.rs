//! Sorting with little code: the standard library's is made for speed and takes thousands of bytes
//! of the module for each type.

use std::cmp::Ordering;

/// Sorts in place, not stably: in `n log n` steps whatever the order before.
pub(super) fn sort<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    const SHORT: usize = 12;
    if items.len() <= SHORT {
        for end in 1..items.len() {
            let mut at = end;
            while at > 0 && order(items, at - 1, at, &compare) == Ordering::Greater {
                items.swap(at - 1, at);
                at -= 1;
            }
        }
        return;
    }
    for root in (0..items.len() / 2).rev() {
        sift(items, root, items.len(), &compare);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sift(items, 0, end, &compare);
    }
}

/// Lets an item sink to its place in the heap that ends before `end`.
fn sift<T>(items: &mut [T], root: usize, end: usize, compare: &impl Fn(&T, &T) -> Ordering) {
    let mut root = root;
    loop {
        let left = root * 2 + 1;
        if left >= end {
            return;
        }
        let right = left + 1;
        let larger = if right < end && order(items, left, right, compare) == Ordering::Less {
            right
        } else {
            left
        };
        if order(items, root, larger, compare) != Ordering::Less {
            return;
        }
        items.swap(root, larger);
        root = larger;
    }
}

fn order<T>(
    items: &[T],
    one: usize,
    other: usize,
    compare: &impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    match (items.get(one), items.get(other)) {
        (Some(one), Some(other)) => compare(one, other),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_lists_of_all_lengths() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        for length in 0..300 {
            let mut items: Vec<u32> = (0..length).map(|_| next()).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort(&mut items, u32::cmp);
            assert_eq!(items, expected);
        }
    }
}
