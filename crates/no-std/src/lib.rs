//! Links every core crate with a panic handler and an allocator of its own.
//!
//! Where any dependency brings the standard library, there are two panic handlers, and this does
//! not compile.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

pub use {
    bytestreams_ibb as ibb, bytestreams_machine as machine, bytestreams_si as si,
    bytestreams_socks5 as socks5, bytestreams_stanza as stanza, bytestreams_stor as stor,
    bytestreams_transfer as transfer,
};

struct Nothing;

// SAFETY: a null pointer says that there is no memory, which an allocator may always say; nothing
// was ever handed out, so nothing comes back.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _ptr: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    loop {}
}
