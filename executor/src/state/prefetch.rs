//! Has memory brought into the cache that will be read soon. Unlike a read, this ends at once: the processor looks for
//! the next place while it waits, and for as many as it can wait for.

/// Bytes that come together.
const LINE: usize = 64;

/// Has all of a value brought into the cache, but not what it points to.
#[inline]
pub(super) fn prefetch<T>(value: &T) {
    let begin = std::ptr::from_ref(value).cast::<u8>();
    prefetch_range(begin, size_of::<T>());
}

/// The same for bytes of the heap.
#[inline]
pub(super) fn prefetch_bytes(bytes: &[u8]) {
    prefetch_range(bytes.as_ptr(), bytes.len());
}

/// Bytes need not begin where a line does: the last one may lie in one more.
#[inline]
fn prefetch_range(begin: *const u8, length: usize) {
    let mut at = 0;
    while at < length {
        prefetch_line(begin.wrapping_add(at));
        at += LINE;
    }
    if length > 0 {
        prefetch_line(begin.wrapping_add(length - 1));
    }
}

#[inline]
fn prefetch_line(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint. It reads nothing into the program, and an address that is not valid is ignored;
    // every processor of this architecture has it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; neither memory nor registers nor flags are changed.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{at}]",
            at = in(reg) at,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_size_and_no_bytes_at_all_may_be_prefetched() {
        prefetch(&());
        prefetch(&7_u8);
        let values = [[1_u8; 112]; 9];
        values.iter().for_each(prefetch);
        prefetch_bytes(&[]);
        prefetch_bytes(values.as_flattened());
        assert_eq!(values, [[1; 112]; 9]);
    }
}
