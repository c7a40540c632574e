//! Sorting with little code, for what is short or seldom sorted: the standard library's is made for
//! speed and takes up to ten thousand bytes of the module for each type. It sorts as well where a set or
//! a map is collected.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A set of these, put in one by one.
pub fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}

/// A map of these, put in one by one; the last one of a name stays.
pub fn map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}

/// Sorts in place, not stably: in `n log n` steps whatever the order before.
pub fn sort<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
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

/// Sorts places of what `compare` knows, not stably, with the standard library's speed: for all that is sorted so there is
/// this one copy of its code.
pub fn places(places: &mut [u32], compare: &dyn Fn(u32, u32) -> Ordering) {
    places.sort_unstable_by(|one, other| compare(*one, *other));
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
    fn places_are_sorted_by_what_stands_there() {
        let names = ["c", "a", "d", "b"];
        let mut order = [0, 1, 2, 3];
        places(&mut order, &|one, other| {
            names[one as usize].cmp(names[other as usize])
        });
        assert_eq!(order, [1, 3, 0, 2]);
    }

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
