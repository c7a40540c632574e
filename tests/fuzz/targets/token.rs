#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use portcullis_tests::fuzz;

fuzz_target!(|data: &[u8]| {
    fuzz::token(data);
});

// Bytes at random hardly ever make another base64url text that says something.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let which = (seed % 8) as usize;
    let changed = fuzz::mutate_part(&data[..size], which, |part| {
        let mut longer = part.clone();
        longer.resize(part.len() + 64, 0);
        let room = longer.len();
        let length = fuzzer_mutate(&mut longer, part.len(), room);
        longer.truncate(length);
        longer
    });
    match changed {
        Some(changed) if changed.len() <= max_size => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});
