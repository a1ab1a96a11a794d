package site

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/grpclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/statedir"
)

// pingInterval is how often a connection without traffic is tried: etcd ends one
// that is tried more often than each 5 s (--grpc-keepalive-min-time).
const pingInterval = 6 * time.Second

// What the session tells anyway gRPC does not write to standard error. It wants to
// know before anything of it runs.
func init() { grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) }

// connect makes a client of one member: a member whose disk hangs, or that sees
// only a minority, keeps its connections and answers nothing, and of several the
// library would go on asking it in its turn. The files are read anew each time, so
// that certificates may be changed.
func (s *Site) connect(member string) (*clientv3.Client, error) {
	return dial(s.ctx, &s.opt.Etcd, member)
}

func dial(ctx context.Context, e *config.Etcd, member string) (*clientv3.Client, error) {
	c := clientv3.Config{Context: ctx, Endpoints: []string{member}, DialTimeout: e.Timeout, Logger: zap.NewNop(),
		DialKeepAliveTime: max(e.Lease/4, pingInterval), DialKeepAliveTimeout: e.Timeout, PermitWithoutStream: true}
	var err error
	if strings.HasPrefix(e.Endpoints[0], "https:") {
		if c.TLS, err = tlsConfig(e); err != nil {
			return nil, err
		}
	}
	if e.User != "" {
		if c.Password, err = readPassword(e.PasswordFile); err != nil {
			return nil, err
		}
		c.Username = e.User
	}
	client, err := clientv3.New(c)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("no answer within %v", e.Timeout)
	}
	return client, err
}

func tlsConfig(e *config.Etcd) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CA != "" {
		text, err := os.ReadFile(e.CA)
		if err != nil {
			return nil, fmt.Errorf("fleet.etcd.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("fleet.etcd.ca: %s has no certificate (PEM)", e.CA)
		}
	}
	if e.Certificate == "" {
		return c, nil
	}
	chain, err := os.ReadFile(e.Certificate)
	if err != nil {
		return nil, fmt.Errorf("fleet.etcd.certificate: %w", err)
	}
	key, err := statedir.ReadSecret(e.Key)
	if err != nil {
		return nil, fmt.Errorf("fleet.etcd.key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("fleet.etcd.certificate: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// readPassword reads the first line of a file that only its owner may read.
func readPassword(path string) (string, error) {
	text, err := statedir.ReadSecret(path)
	if err != nil {
		return "", fmt.Errorf("fleet.etcd.password_file: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	if first = strings.TrimRight(first, "\r"); first == "" {
		return "", fmt.Errorf("fleet.etcd.password_file: the first line of %s is empty", path)
	}
	return first, nil
}

// Check says what is wrong with what a configuration names for etcd, and, with
// live set, whether it can be reached. It is the failure of nothing else.
func Check(ctx context.Context, e *config.Etcd, live bool) (errs []error) {
	if !e.Enabled() {
		return nil
	}
	if e.Plain() {
		errs = append(errs, errors.New("http:// leaves this host in the clear: whoever is on the way reads and changes what the gateways agree by; write https://"))
	}
	if strings.HasPrefix(e.Endpoints[0], "https:") {
		if _, err := tlsConfig(e); err != nil {
			return append(errs, err)
		}
	}
	if e.PasswordFile != "" {
		if _, err := readPassword(e.PasswordFile); err != nil {
			return append(errs, err)
		}
	}
	if !live {
		return errs
	}
	return append(errs, tryMembers(ctx, e)...)
}

// tryMembers asks each member of etcd for something that a majority confirms, and
// says which of them do not serve this gateway.
func tryMembers(ctx context.Context, e *config.Etcd) []error {
	failed := make([]error, len(e.Endpoints))
	var wait sync.WaitGroup
	for i, member := range e.Endpoints {
		wait.Go(func() {
			if err := askMember(ctx, e, member); err != nil {
				failed[i] = fmt.Errorf("%s: %w", member, err)
			}
		})
	}
	wait.Wait()
	all := len(failed)
	failed = slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	switch len(failed) {
	case 0:
		return nil
	case all:
		return []error{fmt.Errorf("etcd cannot be reached: %w; clients are served all the same, and no step begins", joined(failed))}
	}
	return []error{fmt.Errorf("%d of %d members of etcd cannot be reached, and the others are asked: %w", len(failed), all, joined(failed))}
}

// CheckOthers asks etcd how the gateways that are there keep addresses, and says
// which of them do so in another way than this one.
func CheckOthers(ctx context.Context, e *config.Etcd, scheme string) (errs []error) {
	for _, member := range e.Endpoints {
		list, err := presences(ctx, e, member)
		if err != nil {
			continue
		}
		for i := range list {
			if why := differs(scheme, list[i].Addresses); why != "" && list[i].Name != e.Name {
				errs = append(errs, fmt.Errorf("gateway %s %s", list[i].Name, why))
			}
		}
		return errs
	}
	return nil
}

// presences asks a member which gateways are there.
func presences(ctx context.Context, e *config.Etcd, member string) (list []presence, err error) {
	client, err := dial(ctx, e, member)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), e.Timeout)
	defer cancel()
	r, err := client.Get(ctx, e.Prefix+"/"+dirGateways, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	for _, kv := range r.Kvs {
		var p presence
		if json.Unmarshal(kv.Value, &p) == nil {
			list = append(list, p)
		}
	}
	return list, nil
}

// joined is each different error, on one line.
func joined(errs []error) error {
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return errors.New(strings.Join(texts, "; "))
}

func askMember(ctx context.Context, e *config.Etcd, member string) error {
	client, err := dial(ctx, e, member)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), e.Timeout)
	defer cancel()
	_, err = client.Get(ctx, e.Prefix+"/"+keyShared)
	if errors.Is(err, context.DeadlineExceeded) {
		if err = tryMember(e, member); err == nil {
			err = fmt.Errorf("no answer within %v", e.Timeout)
		}
	}
	return err
}

// tryMember says why a member cannot be reached, as far as a connection tells; gRPC
// keeps that to itself and only lets the time run out. nil: it does not tell.
func tryMember(e *config.Etcd, endpoint string) error {
	_, address, _ := strings.Cut(strings.TrimSuffix(endpoint, "/"), "://")
	conn, err := net.DialTimeout("tcp", address, e.Timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if !strings.HasPrefix(endpoint, "https:") {
		return nil
	}
	c, err := tlsConfig(e)
	if err != nil {
		return err
	}
	c.ServerName, _, _ = net.SplitHostPort(address)
	_ = conn.SetDeadline(time.Now().Add(e.Timeout))
	secure := tls.Client(conn, c)
	if err := secure.Handshake(); err != nil {
		return err
	}
	// What etcd has against our certificate comes after the handshake (TLS 1.3).
	_ = conn.SetDeadline(time.Now().Add(min(e.Timeout, refusalTime)))
	_, err = secure.Read(make([]byte, 1))
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return fmt.Errorf("etcd does not take the certificate of this gateway: %w", err)
	}
	return nil
}

// refusalTime is how long a refusal is waited for.
const refusalTime = 500 * time.Millisecond
