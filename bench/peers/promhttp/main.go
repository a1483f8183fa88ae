// A peer: the same series as client_golang's gauges, served by its promhttp.
//
// `promhttp PAGE` says `empty`, waits for a line on its input, fills the gauges from the saved
// page and says `listening on URL`.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// family is one gauge, with the names of its labels in the order of the page.
type family struct {
	names  []string
	vector *prometheus.GaugeVec
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("promhttp PAGE")
	}
	registry := prometheus.NewRegistry()
	fmt.Println("empty: true")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		log.Fatal(err)
	}
	if err := load(os.Args[1], registry); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

// load fills one gauge per family with the saved page's samples.
func load(path string, registry *prometheus.Registry) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	helps := map[string]string{}
	families := map[string]*family{}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 64*1024), 1024*1024)
	for lines.Scan() {
		line := lines.Bytes()
		if rest, isHelp := cut(line, "# HELP "); isHelp {
			name, help, _ := strings.Cut(rest, " ")
			helps[name] = help
			continue
		}
		if !bytes.HasPrefix(line, []byte("azure_vmss_")) ||
			bytes.HasPrefix(line, []byte("azure_vmss_exporter_")) {
			continue
		}
		name, names, values, number, err := parse(string(line))
		if err != nil {
			return err
		}
		known := families[name]
		if known == nil {
			options := prometheus.GaugeOpts{Name: name, Help: helps[name]}
			known = &family{names, prometheus.NewGaugeVec(options, names)}
			registry.MustRegister(known.vector)
			families[name] = known
		}
		known.vector.WithLabelValues(values...).Set(number)
	}
	return lines.Err()
}

func cut(line []byte, prefix string) (string, bool) {
	if !bytes.HasPrefix(line, []byte(prefix)) {
		return "", false
	}
	return string(line[len(prefix):]), true
}

// parse takes one sample of the text format apart.
func parse(line string) (name string, names, values []string, number float64, err error) {
	end := strings.IndexAny(line, "{ ")
	if end < 0 {
		return "", nil, nil, 0, fmt.Errorf("no sample: %q", line)
	}
	name = line[:end]
	rest := line[end:]
	if rest[0] == '{' {
		rest = rest[1:]
		for rest != "" && rest[0] != '}' {
			label, after, found := strings.Cut(rest, `="`)
			if !found {
				return "", nil, nil, 0, fmt.Errorf("odd labels: %q", line)
			}
			value, length := unquote(after)
			if length < 0 {
				return "", nil, nil, 0, fmt.Errorf("odd value: %q", line)
			}
			names = append(names, label)
			// A copy: a part of the line would keep the whole line in memory.
			values = append(values, strings.Clone(value))
			rest = strings.TrimPrefix(after[length:], ",")
		}
		rest = strings.TrimPrefix(rest, "}")
	}
	number, err = strconv.ParseFloat(strings.TrimSpace(rest), 64)
	return name, names, values, number, err
}

// unquote gives the value up to the closing quote, and how long it was with it; -1 for none.
func unquote(text string) (string, int) {
	end := strings.IndexByte(text, '"')
	if end >= 0 && strings.IndexByte(text[:end], '\\') < 0 {
		return text[:end], end + 1
	}
	var value strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return value.String(), i + 1
		case text[i] != '\\' || i+1 == len(text):
			value.WriteByte(text[i])
		case text[i+1] == 'n':
			value.WriteByte('\n')
			i++
		default:
			value.WriteByte(text[i+1])
			i++
		}
	}
	return "", -1
}
