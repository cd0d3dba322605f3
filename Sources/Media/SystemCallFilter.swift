// The calls of the kernel that a decoder may not make, as a program for seccomp(2).

import CLinux
import Glibc

/// A filter in classic BPF (seccomp(2), linux/filter.h): what a decoder has no need of, and an attacker has, fails with EPERM. Threads
/// can be started, processes cannot.
enum SystemCallFilter {
  /// The filter in a file of its own, to be read from its start; negative, with errno set, if there is no memory for one.
  static func makeFile() -> Int32 {
    let descriptor = memfd_create("filter", MFD_CLOEXEC)
    guard descriptor >= 0 else { return descriptor }
    guard program.withUnsafeBytes({ pwrite(descriptor, $0.baseAddress, $0.count, 0) }) == program.count * MemoryLayout<sock_filter>.stride
    else {
      close(descriptor)
      return -1
    }
    return descriptor
  }

  /// Where `struct seccomp_data` has what is looked at, in bytes.
  private static let numberOffset: UInt32 = 0
  private static let architectureOffset: UInt32 = 4
  private static let firstArgumentOffset: UInt32 = 16

  /// CLONE_THREAD of clone(2).
  private static let threadFlag: UInt32 = 0x1_0000

  private static let allow: UInt32 = 0x7fff_0000
  private static let kill: UInt32 = 0x8000_0000
  private static func fail(_ error: Int32) -> UInt32 { 0x0005_0000 | UInt32(error) }

  #if arch(x86_64)
    private static let architecture: UInt32 = 0xc000_003e
    private static let ownCalls = [SYS_fork, SYS_vfork, SYS_iopl, SYS_ioperm, SYS_modify_ldt]
  #elseif arch(arm64)
    private static let architecture: UInt32 = 0xc000_00b7
    private static let ownCalls: [Int32] = []
  #endif

  private static let refusedCalls =
    ownCalls + [
      // The network.
      SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4,
      // Other processes, and other programs' memory.
      SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_pidfd_open, SYS_pidfd_getfd, SYS_pidfd_send_signal,
      SYS_kcmp, SYS_move_pages, SYS_migrate_pages,
      // Namespaces and mounts.
      SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig,
      SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_open_by_handle_at, SYS_name_to_handle_at,
      // Parts of the kernel that have a history.
      SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_keyctl, SYS_add_key,
      SYS_request_key, SYS_personality, SYS_seccomp, SYS_memfd_secret, SYS_fanotify_init, SYS_inotify_init1, SYS_mq_open, SYS_msgget,
      SYS_semget, SYS_shmget,
      // The machine.
      SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_syslog,
      SYS_quotactl, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname,
    ]

  private static let program: [sock_filter] = {
    var filter = [
      load(architectureOffset), ifEqual(architecture, skip: 1), answer(kill),
      load(numberOffset),
    ]
    // x32, which has numbers of its own for the same calls.
    #if arch(x86_64)
      filter += [ifLess(0x4000_0000, skip: 1), answer(fail(EPERM))]
    #endif
    for call in refusedCalls { filter += [unlessEqual(UInt32(call), skip: 1), answer(fail(EPERM))] }
    // Its flags are in memory, where a filter does not see them; the C library then takes clone.
    filter += [unlessEqual(UInt32(SYS_clone3), skip: 1), answer(fail(ENOSYS))]
    filter += [unlessEqual(UInt32(SYS_clone), skip: 3), load(firstArgumentOffset), ifAnySet(threadFlag, skip: 1), answer(fail(EPERM))]
    return filter + [answer(allow)]
  }()

  // Instructions (linux/bpf_common.h).

  private static func load(_ offset: UInt32) -> sock_filter { sock_filter(code: 0x20, jt: 0, jf: 0, k: offset) }
  private static func answer(_ value: UInt32) -> sock_filter { sock_filter(code: 0x06, jt: 0, jf: 0, k: value) }
  private static func ifEqual(_ value: UInt32, skip: UInt8) -> sock_filter { sock_filter(code: 0x15, jt: skip, jf: 0, k: value) }
  private static func unlessEqual(_ value: UInt32, skip: UInt8) -> sock_filter { sock_filter(code: 0x15, jt: 0, jf: skip, k: value) }
  private static func ifLess(_ value: UInt32, skip: UInt8) -> sock_filter { sock_filter(code: 0x35, jt: 0, jf: skip, k: value) }
  private static func ifAnySet(_ bits: UInt32, skip: UInt8) -> sock_filter { sock_filter(code: 0x45, jt: skip, jf: 0, k: bits) }
}
