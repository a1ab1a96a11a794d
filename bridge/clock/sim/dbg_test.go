package sim
import ("testing";"fmt")
func TestDbg(t *testing.T){
 for _, n := range []string{"sine","lan50","wan1ms","holdover"} {
 s:=find(t,n)
 p:=NewProduct(s)
 r:=Run(s,p,1)
 m:=r.Metrics(s)
 fmt.Println(n, m.RMS*1e6)
 p.Discipline.Dump()
 }
}
