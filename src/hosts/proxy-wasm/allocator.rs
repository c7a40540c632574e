//! The VM's allocator: the standard library's, counted, so that the budget knows what is in use. In front of it stand
//! lists of free blocks, for each size one: what a request takes and gives back, the next one takes from there,
//! without going through the code of an allocator for all sizes.
#![allow(
    unsafe_code,
    reason = "an allocator cannot be written without; blocks come from the system's and go back to it"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;
#[cfg(feature = "fault-injection")]
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use portcullis_wire::budget;

#[global_allocator]
static COUNTED: Counted = Counted;

struct Counted;

/// Blocks have sizes in steps of so many bytes, which is what the system's allocator does anyway.
const STEP: usize = 16;

/// Larger blocks are not kept.
const LARGEST: usize = 8 << 10;

/// No more free bytes are kept than that, in all lists together.
const MOST_FREE: usize = 256 << 10;

/// Free blocks. Each begins with where the next of its size is.
struct Free {
    /// By size.
    first: [Cell<*mut u8>; LARGEST / STEP + 1],
    bytes: Cell<usize>,
}

// SAFETY: the module is built without threads.
unsafe impl Sync for Free {}

static FREE: Free = Free {
    first: [const { Cell::new(null_mut()) }; LARGEST / STEP + 1],
    bytes: Cell::new(0),
};

/// How blocks in lists are aligned.
const ALIGNED: usize = 8;

/// Which list blocks of a layout are kept in, and the layout that they are asked for with; none if they are not
/// kept.
fn list(layout: Layout) -> Option<(&'static Cell<*mut u8>, Layout)> {
    if layout.align() > ALIGNED {
        return None;
    }
    let steps = layout.size().checked_add(STEP - 1)? / STEP;
    let list = FREE.first.get(steps)?;
    Some((list, Layout::from_size_align(steps * STEP, ALIGNED).ok()?))
}

/// Whether a block of so many bytes is kept: then they can be had, in one piece or, once the system's allocator has
/// all that is kept, as a part of one.
#[inline]
pub(super) fn keeps(bytes: usize) -> bool {
    if cfg!(feature = "fault-injection") {
        // What a test lets fail is to be asked for.
        return false;
    }
    let layout = Layout::from_size_align(bytes, 1).ok().and_then(list);
    layout.is_some_and(|(list, _)| !list.get().is_null())
}

/// A block of the system's. If it has none, it gets back all that is kept.
#[cold]
#[inline(never)]
fn from_system(layout: Layout) -> *mut u8 {
    // SAFETY: no layout of size 0 comes here: `alloc` is not called with one, and sizes are only rounded up.
    let memory = unsafe { System.alloc(layout) };
    if !memory.is_null() || FREE.bytes.get() == 0 {
        return memory;
    }
    give_back();
    // SAFETY: as above.
    unsafe { System.alloc(layout) }
}

/// A block of the system's in place of one of its own, which is not kept. The same, if it has none.
#[cold]
#[inline(never)]
fn system_realloc(memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: it came from the system's allocator with that layout, and the size is none of 0.
    let moved = unsafe { System.realloc(memory, layout, size) };
    if !moved.is_null() {
        return moved;
    }
    give_back();
    // SAFETY: as above; the block is still there.
    unsafe { System.realloc(memory, layout, size) }
}

/// Gives all blocks back that are kept.
#[cold]
#[inline(never)]
fn give_back() {
    for (steps, list) in FREE.first.iter().enumerate() {
        let Ok(layout) = Layout::from_size_align(steps * STEP, ALIGNED) else {
            continue;
        };
        while !list.get().is_null() {
            let memory = list.get();
            // SAFETY: blocks in a list begin with where the next one is, came from the system's allocator with the
            // layout of the list, and are nobody's.
            unsafe {
                list.set(memory.cast::<*mut u8>().read());
                to_system(memory, layout);
            }
        }
    }
    FREE.bytes.set(0);
}

/// Gives a block back that came from there with that layout.
#[cold]
#[inline(never)]
unsafe fn to_system(memory: *mut u8, layout: Layout) {
    // SAFETY: as the caller says.
    unsafe { System.dealloc(memory, layout) }
}

// SAFETY: every block comes from the system's allocator, which keeps the contract, or from a list of blocks that it
// once gave, are of the same layout, and that nobody has any more. Counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails() {
            return null_mut();
        }
        let memory = match list(layout) {
            Some((list, rounded)) => {
                let first = list.get();
                if first.is_null() {
                    from_system(rounded)
                } else {
                    // SAFETY: blocks in a list begin with where the next one is, and are aligned for that.
                    list.set(unsafe { first.cast::<*mut u8>().read() });
                    let bytes = FREE.bytes.get();
                    FREE.bytes.set(bytes.saturating_sub(rounded.size()));
                    first
                }
            }
            None => from_system(layout),
        };
        counted(memory, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is that of `alloc`.
        let memory = unsafe { self.alloc(layout) };
        if !memory.is_null() {
            // SAFETY: it has so many bytes.
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else {
            return null_mut();
        };
        let (before, after) = (list(layout), list(wanted));
        if before.is_none() && after.is_none() {
            if fails() {
                return null_mut();
            }
            let moved = counted(system_realloc(memory, layout, size), size);
            if !moved.is_null() {
                budget::freed(layout.size());
            }
            return moved;
        }
        if let (Some((_, before)), Some((_, after))) = (before, after)
            && before == after
        {
            if fails() {
                return null_mut();
            }
            budget::freed(layout.size());
            return counted(memory, size);
        }
        // SAFETY: the caller keeps the contract, and the size is not 0.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both have as many bytes, and are different blocks; the old one is the caller's to give back.
            unsafe {
                memory.copy_to_nonoverlapping(moved, layout.size().min(size));
                self.dealloc(memory, layout);
            }
        }
        moved
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        budget::freed(layout.size());
        match list(layout) {
            Some((list, rounded)) => {
                let bytes = FREE.bytes.get().saturating_add(rounded.size());
                if bytes > MOST_FREE {
                    // SAFETY: it came from there with that layout.
                    return unsafe { to_system(memory, rounded) };
                }
                FREE.bytes.set(bytes);
                // SAFETY: it has room for an address, is aligned for that, and is nobody's any more.
                unsafe { memory.cast::<*mut u8>().write(list.get()) };
                list.set(memory);
            }
            // SAFETY: as above.
            None => unsafe { to_system(memory, layout) },
        }
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
