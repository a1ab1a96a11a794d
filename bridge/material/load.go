package material

import (
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

func (k *loader) accessTable() {
	var err error
	if k.Access, err = k.config.AccessTable(); err != nil {
		k.find(NoStart, "access", "%v", err)
	}
}
