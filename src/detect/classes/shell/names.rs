//! Names of commands, by their first letter. A name that people do not use for anything else tells more than one that
//! is a word of a language, or so short that it is an abbreviation of much.

use crate::classes::around::find;
use crate::list::{Filter, List};

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A command and hardly anything else.
    Command,
    /// A command that is something else as well.
    Word,
}

/// What a name is, if it is a command's. In lower case.
pub(super) fn known(name: &[u8]) -> Option<Known> {
    let letter = name.first()?.checked_sub(b'a')?;
    if name.len() < 2 {
        return None;
    }
    if !FILTERS.get(usize::from(letter))?.may_have(name) {
        return None;
    }
    match find(NAMES.get(usize::from(letter))?, name)? {
        true => Some(Known::Word),
        false => Some(Known::Command),
    }
}

/// Commands that run what follows.
pub(super) const RUNNERS: List = List::new(
    "time sudo doas nohup env exec command busybox xargs nice timeout strace watch \
    setsid stdbuf eval builtin flock cpulimit then do else start call chroot ionice toybox",
);

/// Commands of two or three letters that are not an abbreviation of much else.
pub(super) const SHORT: List = List::new("id ls ps pwd nc ip dir w ss df du env set ver vol");

/// In order of bytes; with `*` behind what is a word as well.
static NAMES: [&str; 26] = [
    "ab* addgroup adduser agetty* alias* ansible ansible-config ansible-console ansible-doc ansible-galaxy \
     ansible-inventory ansible-playbook ansible-pull ansible-vault apache2ctl apachectl apk apt* apt-cache \
     apt-get aptitude ar* arch* arj arp ash* attrib auditctl awk aws",
    "base32 base58 base64 basename basenc bash* batch* bc* bcdedit bg* bitsadmin bpftrace break* brew* \
     bridge* bsdcat bsdiff bsdtar build* bundle* bunzip2 busybox byebug bzcat bzdiff bzegrep bzfgrep bzgrep \
     bzip2 bzless bzmore",
    "cacls call* cancel* capsh cat* cc* cd* certbot certutil chattr chcp chdir check* chef* chef-client \
     chef-run chef-shell chef-solo chef-vault chfn chgrp chkconfig chkdsk chmod choice* choom* chown chpasswd \
     chroot chsh clang cloudflared cls* cmake cmd* cmdkey cmp* cobc column* comm* command* comp* composer* \
     convert* copy* cowsay* cowthink* cp* cpan cpio cpulimit crash crontab cscli cscript csh csplit csvtool \
     cupsfilter curl cut*",
    "dash date* dbus-send dd* debugfs declare* del* df* dhclient dialog* diff* diff3 dig* dir* diskpart \
     diskshadow dmesg dmidecode dmsetup dnf doas docker* done* dosbox doskey dotnet dpkg dpkg-query \
     driverquery dsquery dstat du* dvips",
    "easy_install ebtables echo* ed* ed25519 efax egrep else* emacs* enable* enscript env* eqn erase* esac \
     espeak ethtool eval* ex* exec* exiftool* exit* expand* expect* export* exports* expr*",
    "facter* false* fc* fetch* ffmpeg* fg* fgrep fi* file* find* findstr finger* fish* flock* fmt* fold* \
     foreach* forfiles fping free* fsck fsutil ftp* ftpstats ftype fusermount",
    "g++ gal* gawk gc* gcc gci* gdb gem* genie* genisoimage get* getent getfacl getmac ghc ghci ghostscript \
     gimp* ginsh git* go* gp* gpasswd gpresult gps* grc grep groupadd groupdel groupmems groupmod groups* gs* \
     gsv* gtester gunzip gwmi gzcat gzexe gzip",
    "halt* hash* hd* head* help* hexdump highlight* history* host* hostid hostname hostnamectl hping3 htdbm \
     htdigest htop htpasswd",
    "icacls iconv id* iex ifconfig ifdown iftop ifup ii* info* inotifywait insmod install* invoke-expression \
     ionice ip* ip6tables ipconfig ipcrm ipcs iptables iptables-restore iptables-save irb irm ispell* isql \
     iwmi iwr",
    "jarsigner java javac jexec jjs jobs* joe* join* journalctl jq* jrunscript jshell julia",
    "kextload keytool* kill* killall killall5 kismet klist knife* ksh ksshell kubectl",
    "last* lastcomm lastlog lastlogin latex* latexmk ld* ldconfig less* lessecho* lftp link* ln* local* \
     localectl locate* logger* login* loginctl* logman logname logout* logrotate* logsave look* lp lpr ls* \
     lsattr lsb_release lsblk lscpu lsmod lsof lspci lsusb ltrace lua luajit lualatex luatex lwp-download \
     lwp-dump lwp-mirror lwp-request lynx lz4 lz4c lz4cat lzcat lzcmp lzdiff lzegrep lzgrep lzless lzma \
     lzmore",
    "mail* mailx make* man* mawk md* md5sum mdadm mimikatz mkdir mkfifo mkfs mklink mknod mktemp* mlocate \
     modprobe more* mosquitto mount* mountvol move* mp* mpg123 msbuild msfconsole msfvenom msg msgattrib \
     msgcat msgconv msgfilter msgmerge msguniq mshta msiexec mtr mutt mv* mysql mysqladmin mysqldump \
     mysqldumpslow mysqlhotcopy mysqlshow",
    "nano nasm nawk nbtstat nc* ncat ncdu neofetch* net* netcat netdiag netkit-ftp netplan netsh netstat new* \
     nft nftables nginx ngrok nice* nl* nltest nmap node* nohup nping npm npx nroff nsenter nslookup nstat \
     ntdsutil ntpdate numfmt* nvim nvm*",
    "objdump octave od* odbcconf onintr open* openssl openvpn openvt opkg osascript",
    "pandoc paperplay passwd paste* patch* path* pathping pause* pdb pdflatex pdftex perf perl perlbug pexec \
     pftp pg* pg_dump pgrep php php-cgi phpunit pic* pico* pidstat ping* ping6* pip* pip3 pkexec pkg pkginfo \
     pkill plink popd* powershell pr* print* printenv printf* procdump pry ps* pscp psed psexec psftp psql \
     ptar ptr* ptx puppet pushd putty pv* pwd pwsh python python2 python3",
    "qalc* qemu qpdf query-session quota quser* qwinsta",
    "rake* raku rar* rbash rcp rd* read* readelf readlink realpath reboot* red* redcarpet redis-cli reg \
     regasm regedit regini regsvr32 ren* rename* renice repeat* replace* restic rev* rkhunter rlogin rlwrap \
     rm* rmdir rmmod rmt rmt-tar rmuser rnano robocopy route* rpm* rpmdb rpmquery rpmverify rsync rtorrent \
     ruby run* run-mailcap runas rundll32 runscript rview rvim",
    "sash sc scanmem sched schtasks scp screen* script* sdiff* secedit sed* sendmail service* set* setarch \
     setenv setfacl setsid setx sfc sfdisk sftp sg* sh* sha1sum sha224sum sha256sum sha384sum sha512sum \
     shadow shred* shuf shutdown size* sleep* slsh smbclient snap* socat soelim sort* source* split* sqlite \
     sqlite3 sqlmap ss* ss-local ssh ssh-keygen ssh-keyscan sshd sshpass start* start-stop-daemon stdbuf \
     stop* strace strings* stty su* subl sublime subst sudo sudoedit sum* svn swapoff sync* sysctl* systemctl \
     systemd-resolve systemd-run systeminfo",
    "tac tail* tailf takeown tar* task* taskkill tasklist taskset tasksh* tbl tclsh tcpdump tcping \
     tcptraceroute tcsh tee telnet terraform test* tex* texindex tftp tic* time* timedatectl timeout* title* \
     tmux top* touch* tr* traceroute traceroute6 tracert trap* tree* troff true* tshark type* typeperf tzutil",
    "ufw ul* ulimit umount unalias uname uncompress unexpand uniq unlzma unpigz unset unshare unxz unzip \
     unzstd updatedb uptime urlget usbip useradd userdel usermgr usermod utime* utmpdump uudecode uuencode",
    "vagrant valgrind varnishncsa vboxmanage vdir* ver* vi* view* vigr vim* vimdiff vipw virsh visudo vmstat \
     vol* volatility vpnclient vssadmin",
    "w3m wait* wall* watch* wbadmin wc* wevtutil wget where* where.exe whereis which* whiptail who* whoami \
     whois winrm winrs wireshark wish wmic write* wscript wsreset wusa",
    "xargs xclip xcopy xdotool xelatex xetex xhost xmllint xmodmap xmore xpad xterm xx* xxd xz* xzcat xzcmp \
     xzdiff xzegrep xzfgrep xzgrep xzless xzmore",
    "yarn yelp yes* yum",
    "zathura zcat zcmp zdiff zegrep zfgrep zgrep zip* zipinfo zless zmore zone* zrun zsh zsoelim zstd zstdcat \
     zstdgrep zstdless zstdmt zypper",
];

/// What is enough to tell most other names from these, which most names are.
static FILTERS: [Filter; 26] = filters();

#[allow(clippy::indexing_slicing, reason = "while compiling")]
const fn filters() -> [Filter; 26] {
    let mut filters = [Filter::NONE; 26];
    let mut letter = 0;
    while letter < NAMES.len() {
        filters[letter] = Filter::of(NAMES[letter], b'*');
        letter += 1;
    }
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        for list in NAMES {
            for listed in list.split(' ') {
                let plain = listed.trim_end_matches('*');
                let what = match plain == listed {
                    true => Known::Command,
                    false => Known::Word,
                };
                assert_eq!(known(plain.as_bytes()), Some(what), "{plain}");
            }
        }
        for other in ["", "1", "a", "ca", "cata", "catalogue", "zzz", "\u{7f}a"] {
            assert_eq!(known(other.as_bytes()), None, "{other}");
        }
    }
}
