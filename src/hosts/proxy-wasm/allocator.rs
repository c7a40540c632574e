//! The VM's allocator: the standard library's, counted, so that the budget knows what is in use.
#![allow(
    unsafe_code,
    reason = "an allocator cannot be written without; each call goes to the system's as it came"
)]

use std::alloc::{GlobalAlloc, Layout, System};
#[cfg(feature = "fault-injection")]
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use portcullis_wire::budget;

#[global_allocator]
static COUNTED: Counted = Counted;

struct Counted;

// SAFETY: every call is passed on as it came to the system's allocator, which keeps the contract,
// or fails; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        counted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        counted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `realloc`.
        let moved = counted(unsafe { System.realloc(memory, layout, size) }, size);
        if !moved.is_null() {
            budget::freed(layout.size());
        }
        moved
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        budget::freed(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn counted(memory: *mut u8, size: usize) -> *mut u8 {
    if !memory.is_null() {
        budget::allocated(size);
    }
    memory
}

/// Whether this allocation is to fail. None does, but where a test has asked for it.
#[cfg(not(feature = "fault-injection"))]
const fn fails() -> bool {
    false
}

/// Allocations since a test has last set which are to fail.
#[cfg(feature = "fault-injection")]
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The number of the one that fails; 0 for none.
#[cfg(feature = "fault-injection")]
static FAILING: AtomicU32 = AtomicU32::new(0);

/// Whether those after it fail too.
#[cfg(feature = "fault-injection")]
static PERSISTS: AtomicBool = AtomicBool::new(false);

#[cfg(feature = "fault-injection")]
fn fails() -> bool {
    let count = COUNT.load(Ordering::Relaxed).saturating_add(1);
    COUNT.store(count, Ordering::Relaxed);
    let failing = FAILING.load(Ordering::Relaxed);
    failing != 0 && (count == failing || count > failing && PERSISTS.load(Ordering::Relaxed))
}

/// Lets the `n`-th allocation from now on fail, and with `persist` all that follow; 0 lets none.
#[cfg(feature = "fault-injection")]
#[unsafe(no_mangle)]
extern "C" fn portcullis_fail_allocation(n: u32, persist: u32) {
    COUNT.store(0, Ordering::Relaxed);
    FAILING.store(n, Ordering::Relaxed);
    PERSISTS.store(persist != 0, Ordering::Relaxed);
}

/// How many allocations there were since the last call of [`portcullis_fail_allocation`].
#[cfg(feature = "fault-injection")]
#[unsafe(no_mangle)]
extern "C" fn portcullis_allocations() -> u32 {
    COUNT.load(Ordering::Relaxed)
}
