//! The VM's allocator: the standard library's, counted, so that the budget knows what is in use.
#![allow(
    unsafe_code,
    reason = "an allocator cannot be written without; each call goes to the system's as it came"
)]

use std::alloc::{GlobalAlloc, Layout, System};

use crate::budget;

#[global_allocator]
static COUNTED: Counted = Counted;

struct Counted;

// SAFETY: every call is passed on as it came to the system's allocator, which keeps the contract;
// counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        counted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        counted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
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
