// Package report is what people see of the inventory: rows of clients, keys and
// a summary, as JSON, CSV, tables and an Ansible inventory. It makes no
// decisions; each figure is computed from the inventory.
package report
