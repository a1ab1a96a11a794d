package bridge

import (
	"runtime/debug"
	"strings"
)

// Version is what this build is called: the version of the module, or else the
// commit it was made of; "modified" if files differ from that.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "ntsbridge unknown"
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return version(info.Main.Version, settings)
}

func version(module string, settings map[string]string) string {
	words := []string{"ntsbridge"}
	revision := settings["vcs.revision"]
	switch {
	case module != "" && module != "(devel)":
		words = append(words, module)
	case revision != "":
		words = append(words, revision[:min(12, len(revision))])
	default:
		words = append(words, "devel")
	}
	if day, _, ok := strings.Cut(settings["vcs.time"], "T"); ok {
		words = append(words, day)
	}
	if settings["vcs.modified"] == "true" && !strings.HasSuffix(module, "+dirty") {
		words = append(words, "modified")
	}
	return strings.Join(words, " ")
}
