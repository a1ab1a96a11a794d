package keygen

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseArgs(t *testing.T) {
	for _, c := range []struct {
		args string
		want map[string][]string // nil: refused
	}{
		{"", map[string][]string{}},
		{"-T -I -b 512", map[string][]string{"trusted-cert": {""}, "iffkey": {""}, "imbits": {"512"}}},
		{"-TIb512", map[string][]string{"trusted-cert": {""}, "iffkey": {""}, "imbits": {"512"}}},
		{"--modulus=1024 --trusted-cert", map[string][]string{"modulus": {"1024"}, "trusted-cert": {""}}},
		{"--modulus 0x400", map[string][]string{"modulus": {"0x400"}}},
		{"--mod 1024 --TRUSTED", map[string][]string{"modulus": {"1024"}, "trusted-cert": {""}}},
		{"--gq_params", map[string][]string{"gq-params": {""}}},
		{"--pass x", map[string][]string{"password": {"x"}}},
		{"--password-f x", map[string][]string{"password-file": {"x"}}},
		{"-p=x", map[string][]string{"password": {"=x"}}},
		{"-p -T", map[string][]string{"password": {"-T"}}},
		{"-l -5", map[string][]string{"lifetime": {"-5"}}},
		{"-d -dd -D 3", map[string][]string{"debug-level": {"", "", ""}, "set-debug-level": {"3"}}},
		{"-> -M", map[string][]string{"save-opts": {""}, "md5key": {""}}},
		{"-> f -M", map[string][]string{"save-opts": {"f"}, "md5key": {""}}},
		{"--save-opts=f -<g", map[string][]string{"save-opts": {"f"}, "load-opts": {"g"}}},
		{"-M --", map[string][]string{"md5key": {""}}},
		{"-b 100", nil}, {"-b 2049", nil}, {"-m=512", nil}, {"-m 1k", nil}, {"-m 512x", nil}, {"-m 1_000", nil}, {"-m", nil},
		{"--modulus", nil}, {"-x", nil}, {"--bogus", nil}, {"--md5_key", nil}, {"--p x", nil}, {"--md5key=x", nil},
		{"-M foo", nil}, {"foo", nil}, {"-- -M", nil}, {"-", nil}, {"-T -T", nil}, {"-p x -p y", nil}, {"-m 99999999999", nil},
		{"--mv 5", nil}, {"-h", nil},
	} {
		v, err := ParseArgs(strings.Fields(c.args))
		if c.want == nil {
			if !errors.Is(err, ErrUsage) {
				t.Errorf("%q: %v, %v", c.args, v, err)
			}
			continue
		}
		if err != nil || !maps.EqualFunc(v.args, c.want, slices.Equal) {
			t.Errorf("%q: %v, %v", c.args, v, err)
		}
	}
}

func TestParsePresets(t *testing.T) {
	v, ignored, err := parsePresets([]byte("# c\nmodulus = 700\ntrusted-cert\n\nbogus x\npassword:  \"a " +
		"b\"\ncipher\taes-128-cbc\nhelp\n[ntpq]\niffkey\n"))
	want := map[string][]string{"modulus": {"700"}, "trusted-cert": {""}, "password": {"a b"}, "cipher": {"aes-128-cbc"}}
	if err != nil || !maps.EqualFunc(v.args, want, slices.Equal) || !slices.Equal(ignored, []string{"line 5", "line 8"}) {
		t.Errorf("%v, %v, %v", v, ignored, err)
	}
	for _, bad := range []string{"modulus 3", "modulus", "modulus = x"} {
		if _, _, err := parsePresets([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func FuzzParseArgs(f *testing.F) {
	for _, seed := range []string{"-T\n-I\n-b\n512", "--modulus=1024", "-TIb512", "->", "--p", "-l\n-5", "-\n--",
		"--load-opts=x\n--save-opts"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseArgs(strings.Split(text, "\n"))
		if err != nil {
			if !errors.Is(err, ErrUsage) {
				t.Fatalf("no usage error: %v", err)
			}
			return
		}
		// Written out again in the long form, it means the same.
		var again []string
		for _, name := range v.order {
			o, err := findLong(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, arg := range v.args[name] {
				if o.value == "" || o.optional && arg == "" {
					again = append(again, "--"+name)
				} else {
					again = append(again, "--"+name+"="+arg)
				}
			}
		}
		w, err := ParseArgs(again)
		if err != nil || !maps.EqualFunc(v.args, w.args, slices.Equal) {
			t.Fatalf("%q became %q: %v, %v", text, again, w, err)
		}
		if v.Has("modulus") && (v.number("modulus", 0) < 256 || v.number("modulus", 0) > 4096) {
			t.Fatalf("modulus %d", v.number("modulus", 0))
		}
	})
}

func FuzzParsePresets(f *testing.F) {
	f.Add([]byte("modulus = 700\ntrusted-cert\n"))
	f.Add([]byte("password \"a b\"\n[x]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, _, err := parsePresets(text)
		if err == nil && v.Has("help") {
			t.Fatal("an option that no file may set")
		}
	})
}
