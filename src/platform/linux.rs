//! Linux: links by name, and a process that gives up all that it does not need.
//!
//! In this order: other users' rights (setgroups, setresgid, setresuid), all capabilities, the way back
//! (no_new_privs), the file system but for what is named (Landlock), and system calls that only an intruder would
//! make (seccomp). All of it must be done before threads are started.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use caps::CapSet;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
};
use landlock::{RulesetStatus, path_beneath_rules};
use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::prctl;
use nix::unistd::{AccessFlags, Gid, Uid, User, initgroups, setgroups, setresgid, setresuid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::{Allowed, Confined, LinkState};

/// Nanoseconds in the fraction of a time stamp, which libpcap is asked to give in nanoseconds.
pub const NANOS_PER_FRACTION: u64 = 1;

/// The rights of Landlock that are known here; a kernel that knows fewer is given those it knows.
const LANDLOCK: ABI = ABI::V6;

/// What libpcap and the system's library read while we run.
const READ: [&str; 4] = ["/sys/class/net", "/sys/devices", "/proc/self", "/usr/share/zoneinfo"];
/// What a screen is drawn on, and what swallows all.
const TERMINAL: [&str; 2] = ["/dev/tty", "/dev/null"];

/// How the interface of that name stands.
pub fn link_state(name: &str) -> LinkState {
    if interface_index(name).is_none() {
        return LinkState::Gone;
    }
    let Ok(mut all) = getifaddrs() else { return LinkState::Unknown };
    match all.find(|interface| interface.interface_name == name) {
        Some(interface) if interface.flags.contains(InterfaceFlags::IFF_UP) => LinkState::Up,
        Some(_) => LinkState::Down,
        None => LinkState::Unknown,
    }
}

/// What the system numbers the interface of that name by.
pub fn interface_index(name: &str) -> Option<u32> {
    if_nametoindex(name).ok()
}

/// What the system calls itself.
pub fn system() -> String {
    let Ok(names) = nix::sys::utsname::uname() else { return "Linux".to_owned() };
    format!("{} {}", names.sysname().to_string_lossy(), names.release().to_string_lossy())
}

/// Whether this process may open devices.
pub fn may_capture() -> Option<bool> {
    caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_NET_RAW).ok()
}

/// The hardware address of the interface of that name.
pub fn hardware_address(name: &str) -> Option<[u8; 6]> {
    let of_name = getifaddrs().ok()?.filter(|interface| interface.interface_name == name);
    of_name.filter_map(|interface| interface.address?.as_link_addr()?.addr()).next()
}

/// Holds this process on the core at which it runs, if less than two are its own: whoever is stopped for having used up
/// a share of a core is so core by core, and what is taken on one is not there for the other. Only threads that are
/// started from now on are held too.
pub fn keep_to_one_core() {
    if has_one_core() {
        let mut core = rustix::thread::CpuSet::new();
        core.set(rustix::thread::sched_getcpu());
        // where it is not to be had, all goes on as it did
        let _ = rustix::thread::sched_setaffinity(None, &core);
    }
}

/// Has this thread run when others of this process do not want to, if they have one core together.
pub fn stand_back() {
    /// Others get seventy times as much.
    const SHARE: i32 = 19;
    if has_one_core() {
        let _ = rustix::process::setpriority_process(None, SHARE);
    }
}

/// Whether less than two cores are this process's own, by what it is bound to and by its group's share.
pub fn has_one_core() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1)
}

/// Whether files can be made in that folder.
pub fn may_write(folder: &Path) -> bool {
    nix::unistd::access(folder, AccessFlags::W_OK).is_ok()
}

/// Whether no terminal can take us with it when it goes.
pub fn is_headless() -> bool {
    std::fs::File::open("/dev/tty").is_err()
}

/// Who the process is to be.
fn wanted(user: Option<&str>) -> Result<Option<(Uid, Gid, Option<String>)>, String> {
    if let Some(name) = user {
        return match User::from_name(name) {
            Ok(Some(user)) => Ok(Some((user.uid, user.gid, Some(user.name)))),
            Ok(None) => Err(format!("--user {name}: there is no such user")),
            Err(error) => Err(format!("--user {name}: {error}")),
        };
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let (Some(uid), Some(gid)) = (number("SUDO_UID"), number("SUDO_GID")) else { return Ok(None) };
    if uid == 0 || !Uid::effective().is_root() {
        return Ok(None);
    }
    let name = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
    Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid), name)))
}

/// Confines this process to what is allowed, for good.
///
/// # Errors
/// The user that is wanted is not to be had. Whatever else the kernel does not offer is told as undone.
pub fn confine(allowed: &Allowed) -> Result<Confined, String> {
    let mut confined = Confined::default();
    // the bounding set can only be emptied with what it bounds
    let _ = caps::clear(None, CapSet::Bounding);
    if let Some((uid, gid, name)) = wanted(allowed.user.as_deref())? {
        become_user(uid, gid, name.as_deref()).map_err(|error| format!("cannot become user {uid}: {error}"))?;
        confined.done.push(format!("runs as {}", name.unwrap_or_else(|| uid.to_string())));
    }
    note(&mut confined, "no capability", drop_capabilities());
    note(&mut confined, "no new privileges", prctl::set_no_new_privs().map_err(|error| error.to_string()));
    note(&mut confined, "files outside the output folders are out of reach (Landlock)", restrict_files(allowed));
    note(&mut confined, "no program, no connection, nothing sent (seccomp)", restrict_calls(&allowed.silent));
    Ok(confined)
}

fn note(confined: &mut Confined, what: &str, result: Result<(), String>) {
    match result {
        Ok(()) => confined.done.push(what.to_owned()),
        Err(why) => confined.undone.push(format!("{what}: not so, because {why}")),
    }
}

fn become_user(uid: Uid, gid: Gid, name: Option<&str>) -> nix::Result<()> {
    if uid == Uid::effective() && uid == Uid::current() {
        return Ok(());
    }
    match name.and_then(|name| std::ffi::CString::new(name).ok()) {
        Some(name) => initgroups(&name, gid)?,
        None => setgroups(&[gid])?,
    }
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

fn drop_capabilities() -> Result<(), String> {
    // kernels without ambient capabilities have none to drop
    let _ = caps::clear(None, CapSet::Ambient);
    let sets = [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted];
    sets.into_iter().try_for_each(|set| caps::clear(None, set)).map_err(|error| error.to_string())
}

fn restrict_files(allowed: &Allowed) -> Result<(), String> {
    let read = allowed.read.iter().map(PathBuf::as_path).chain(READ.map(Path::new));
    let write = allowed.write.iter().map(PathBuf::as_path);
    let may_write = AccessFs::from_all(LANDLOCK) & !AccessFs::Execute & !AccessFs::MakeChar & !AccessFs::MakeBlock;
    let terminal = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let restrict = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(LANDLOCK))?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(Scope::from_all(LANDLOCK))?
            .create()?
            .add_rules(path_beneath_rules(read, AccessFs::ReadFile | AccessFs::ReadDir))?
            .add_rules(path_beneath_rules(write, may_write))?
            .add_rules(path_beneath_rules(TERMINAL, terminal))?
            .restrict_self()
    };
    match restrict() {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// System calls that nothing here makes, and that whoever takes a process over would.
const REFUSED: [libc::c_long; 24] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_mount,
    libc::SYS_pivot_root,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_reboot,
];

/// System calls by which a socket sends.
const SENDING: [libc::c_long; 5] =
    [libc::SYS_write, libc::SYS_writev, libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_sendmmsg];

fn restrict_calls(silent: &[RawFd]) -> Result<(), String> {
    let text = |error: seccompiler::Error| error.to_string();
    let program = calls(silent).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(text)
}

/// The filter of system calls; `silent`: descriptors by which nothing is to be sent.
fn calls(silent: &[RawFd]) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let argument = |at, op, value| SeccompCondition::new(at, SeccompCmpArgLen::Dword, op, value);
    // the system's library asks for links and their names by sockets of these two kinds
    let other = [libc::AF_UNIX, libc::AF_NETLINK].map(|family| argument(0, SeccompCmpOp::Ne, family as u64));
    let other = other.into_iter().collect::<Result<Vec<_>, _>>()?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(other)?]);
    for call in SENDING.iter().filter(|_| !silent.is_empty()) {
        let by = |fd: &RawFd| SeccompRule::new(vec![argument(0, SeccompCmpOp::Eq, *fd as u64)?]);
        rules.insert(*call, silent.iter().map(by).collect::<Result<Vec<_>, _>>()?);
    }
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?.try_into()
}
