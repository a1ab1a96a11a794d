package material

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"ntsbridge/bridge/config"
)

// maxConfigLen keeps a wrong file name (a disk, a log) from being read whole.
const maxConfigLen = 4 << 20

// confDir is the directory beside a configuration file whose files go over it.
const confDir = "conf.d"

// variablePrefix is what the variables of options begin with.
const variablePrefix = "NTSBRIDGE_"

// Input is where a configuration is read from.
type Input struct {
	// File is the configuration file; empty for none.
	File string
	// Flags go over everything if they are set; by the options that they
	// are bound to. May be nil.
	Flags map[string]*pflag.Flag
	// Default changes the defaults where there is no file. May be nil.
	Default func(*config.Config)
}

// Variable returns the variable of the environment that sets an option:
// NTSBRIDGE_SERVER_LISTEN for server.listen.
func Variable(option string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(option, ".", "_"))
}

// ReadConfig reads a configuration: the file, the files conf.d/*.yaml beside it
// in the order of their names, variables of the environment, and flags; what
// comes later goes over what came before, option by option. A list replaces a
// list. An error about contents is config.Problems. It is resolved for this
// process.
func ReadConfig(in Input) (*config.Config, error) {
	v := viper.New()
	var trees []*config.Tree
	files, err := in.files()
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		tree, err := readTree(file)
		if err != nil {
			return nil, err
		}
		trees = append(trees, tree)
		if err := v.MergeConfigMap(tree.Values); err != nil {
			return nil, fmt.Errorf("configuration: %s: %w", file, err)
		}
	}
	over, err := in.overrides(v)
	if err != nil {
		return nil, err
	}
	cfg, err := config.Assemble(v.AllSettings(), append(trees, over...)...)
	if err != nil {
		return nil, err
	}
	if in.File == "" && in.Default != nil {
		in.Default(cfg)
	}
	cfg.Resolve(CurrentEnvironment())
	return cfg, nil
}

// files returns the files in their order.
func (in *Input) files() ([]string, error) {
	if in.File == "" {
		return nil, nil
	}
	more, err := filepath.Glob(filepath.Join(filepath.Dir(in.File), confDir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	slices.Sort(more)
	return append([]string{in.File}, more...), nil
}

func readTree(file string) (*config.Tree, error) {
	data, err := readFile(file, maxConfigLen)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; write the name of the file, which ntsbridge convert can make", err)
		}
		return nil, fmt.Errorf("configuration: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return config.Read(file, dir, data), nil
}

// overrides binds variables and flags to options, and puts what they say over
// the values.
func (in *Input) overrides(v *viper.Viper) ([]*config.Tree, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var trees []*config.Tree
	bound := viper.New()
	for _, option := range config.Options() {
		name := "$" + Variable(option)
		_, set := os.LookupEnv(Variable(option))
		if flag := in.Flags[option]; flag != nil && flag.Changed {
			if err := bound.BindPFlag(option, flag); err != nil {
				return nil, fmt.Errorf("configuration: %w", err)
			}
			name, set = "--"+flag.Name, true
		} else if set {
			if err := bound.BindEnv(option, Variable(option)); err != nil {
				return nil, fmt.Errorf("configuration: %w", err)
			}
		}
		if !set {
			continue
		}
		tree, value := config.ReadOption(name, dir, option, bound.GetString(option))
		trees = append(trees, tree)
		if value != nil {
			v.Set(option, value)
		}
	}
	return trees, nil
}
