//! A heap of a fixed size that knows how much of it was ever in use.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};
use embedded_alloc::LlffHeap;

/// Octets that there are to allocate from.
pub const SIZE: usize = 24 * 1024;

struct Heap {
    inner: LlffHeap,
    peak: AtomicUsize,
}

#[global_allocator]
static HEAP: Heap = Heap {
    inner: LlffHeap::empty(),
    peak: AtomicUsize::new(0),
};

// SAFETY: every call is passed on to an allocator as it came.
unsafe impl GlobalAlloc for Heap {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's word holds for the inner allocator.
        let place = unsafe { self.inner.alloc(layout) };
        let used = self.inner.used();
        if used > self.peak.load(Ordering::Relaxed) {
            self.peak.store(used, Ordering::Relaxed);
        }
        place
    }

    #[inline(never)]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.inner.dealloc(place, layout) }
    }
}

/// Makes the heap. Call it once, before anything allocates.
pub fn init() {
    static mut STORE: MaybeUninit<[u64; SIZE / 8]> = MaybeUninit::uninit();
    // SAFETY: nothing else ever refers to the store, and the inner heap panics at a second call.
    unsafe { HEAP.inner.init(&raw mut STORE as usize, SIZE) }
}

/// The most octets that were ever in use at once, what the allocator adds to each included.
pub fn peak() -> usize {
    HEAP.peak.load(Ordering::Relaxed)
}

/// Octets in use.
pub fn used() -> usize {
    HEAP.inner.used()
}

/// The most octets of stack that were ever in use: what was painted before `main` and is not any
/// more.
pub fn stack_peak() -> usize {
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let top = &raw const _stack_start;
    let mut at = &raw const _stack_end;
    // SAFETY: the linker says that all from the end to the start is the stack's room, and the
    // runtime has painted it.
    unsafe {
        while at < top && at.read_volatile() == cortex_m_rt::STACK_PAINT_VALUE {
            at = at.add(1);
        }
    }
    top as usize - at as usize
}
