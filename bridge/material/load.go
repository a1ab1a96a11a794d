package material

import (
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/statedir"
)

// Load loads what a resolved configuration names. It changes nothing. What is
// wrong is in the findings; their Err says whether serve would start.
func Load(cfg *config.Config, opt Options) *Set {
	k := &loader{Set: &Set{finder: finder{config: cfg}}, opt: opt}
	if !k.open() {
		return k.Set
	}
	k.handedOver()
	k.accessTable()
	k.keys()
	k.autokey()
	k.nts()
	k.api()
	k.leapTable()
	k.fipsSources()
	k.sources()
	k.referenceClocks()
	k.clock()
	k.servedRules()
	k.signing()
	for _, notice := range k.Store.Notices() {
		k.findIn(Warning, k.Store.Path(""), 0, notice)
	}
	return k.Set
}

// open opens the state directory.
func (k *loader) open() bool {
	var err error
	if k.config.StateDir == "" {
		k.find(NoStart, "state_dir",
			"there is no home directory for the default, and a directory for everybody is not safe; write one, or use --state-dir")
		return false
	}
	if k.Store, err = statedir.Open(k.config.StateDir, k.opt.Running); err != nil {
		k.find(NoStart, "state_dir", "%v", err)
		return false
	}
	return true
}

// handedOver tells once why files are not there that only a service manager
// could have handed over.
func (k *loader) handedOver() {
	for _, name := range k.config.Paths() {
		if file, ok := strings.CutPrefix(name, config.Credentials); ok {
			k.find(Warning, "", "%s: there is no variable CREDENTIALS_DIRECTORY; systemd sets it in a unit with LoadCredential=%s:FILE. "+
				"By hand, as root: CREDENTIALS_DIRECTORY=/run/credentials/ntsbridge.service ntsbridge check", name, file)
			return
		}
	}
}

func (k *loader) accessTable() {
	var err error
	if k.Access, err = k.config.AccessTable(); err != nil {
		k.find(NoStart, "access", "%v", err)
	}
}
