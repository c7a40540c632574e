#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_tests::fuzz;

fuzz_target!(|data: &[u8]| {
    fuzz::xml(data);
});
