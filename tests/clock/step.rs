//! Preloaded into a process, this gives it a wall clock that a test sets, while every other clock
//! goes on. How far it is off stands in the file that `STEP_CLOCK` names: nanoseconds, 64 bits in the
//! machine's order. All threads see a change at once.
//!
//! `build.rs` makes a shared library of it. It allocates nothing and locks nothing, so it can be
//! called from anywhere and at any time.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU8, Ordering};

/// `struct timespec`, 64 bits.
#[repr(C)]
pub struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// `struct timeval`, 64 bits.
#[repr(C)]
pub struct Timeval {
    seconds: i64,
    microseconds: i64,
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn getenv(name: *const c_char) -> *const c_char;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn close(file: c_int) -> c_int;
    fn mmap(
        at: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
}

#[cfg(target_arch = "x86_64")]
const CLOCK_GETTIME: c_long = 228;
#[cfg(target_arch = "aarch64")]
const CLOCK_GETTIME: c_long = 113;

const REALTIME: c_int = 0;
const REALTIME_COARSE: c_int = 5;

/// The file, mapped.
static OFFSET: AtomicPtr<AtomicI64> = AtomicPtr::new(ptr::null_mut());
/// Whether the file has been looked for.
static LOOKED: AtomicU8 = AtomicU8::new(0);

/// How far the wall clock is off.
fn offset() -> i64 {
    if LOOKED.swap(1, Ordering::AcqRel) == 0 {
        let mapped = map();
        OFFSET.store(mapped, Ordering::Release);
    }
    let mapped = OFFSET.load(Ordering::Acquire);
    if mapped.is_null() {
        return 0;
    }
    // SAFETY: the mapping is never taken away, is aligned to a page, and the file has eight bytes.
    unsafe { &*mapped }.load(Ordering::Relaxed)
}

fn map() -> *mut AtomicI64 {
    const READ_ONLY: c_int = 0;
    const PROT_READ: c_int = 1;
    const MAP_SHARED: c_int = 1;
    // SAFETY: names are strings that end in NUL; what the calls give back is checked.
    unsafe {
        let path = getenv(c"STEP_CLOCK".as_ptr());
        if path.is_null() {
            return ptr::null_mut();
        }
        let file = open(path, READ_ONLY);
        if file < 0 {
            return ptr::null_mut();
        }
        let mapped = mmap(ptr::null_mut(), 8, PROT_READ, MAP_SHARED, file, 0);
        close(file);
        if mapped as isize == -1 {
            return ptr::null_mut();
        }
        mapped.cast()
    }
}

fn wall(clock: c_int) -> Option<(i64, i64)> {
    const SECOND: i64 = 1_000_000_000;
    let mut time = Timespec {
        seconds: 0,
        nanoseconds: 0,
    };
    // SAFETY: the kernel writes to `time`, which is alive.
    let answer = unsafe { syscall(CLOCK_GETTIME, c_long::from(clock), &raw mut time) };
    let all = time.seconds.checked_mul(SECOND)?;
    let all = all.checked_add(time.nanoseconds)?.checked_add(offset())?;
    (answer == 0).then_some((all.div_euclid(SECOND), all.rem_euclid(SECOND)))
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int {
    if clock != REALTIME && clock != REALTIME_COARSE {
        // SAFETY: the caller's pointer goes to the kernel as it came.
        return unsafe { syscall(CLOCK_GETTIME, c_long::from(clock), time) } as c_int;
    }
    match wall(clock) {
        Some((seconds, nanoseconds)) if !time.is_null() => {
            // SAFETY: the caller vouches for the pointer.
            unsafe {
                time.write(Timespec {
                    seconds,
                    nanoseconds,
                })
            };
            0
        }
        _ => -1,
    }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut Timeval, _: *mut c_void) -> c_int {
    match wall(REALTIME) {
        Some((seconds, nanoseconds)) if !time.is_null() => {
            let microseconds = nanoseconds / 1000;
            // SAFETY: the caller vouches for the pointer.
            unsafe {
                time.write(Timeval {
                    seconds,
                    microseconds,
                })
            };
            0
        }
        _ => -1,
    }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(into: *mut i64) -> i64 {
    let seconds = wall(REALTIME).map_or(-1, |(seconds, _)| seconds);
    if !into.is_null() {
        // SAFETY: the caller vouches for the pointer.
        unsafe { into.write(seconds) };
    }
    seconds
}
